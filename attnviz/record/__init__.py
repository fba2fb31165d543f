"""The frozen records that everything after the forward pass reads; saving and loading them."""

from attnviz.record.attention import Array, Attention, Backend, EncoderDecoder, Kind, MapName, Record
from attnviz.record.files import FORMATS, read, save, write
from attnviz.record.observation import Evidence, Observation, Pooled, Rows, Top

__all__ = [
    "FORMATS",
    "Array",
    "Attention",
    "Backend",
    "EncoderDecoder",
    "Evidence",
    "Kind",
    "MapName",
    "Observation",
    "Pooled",
    "Record",
    "Rows",
    "Top",
    "read",
    "save",
    "write",
]
