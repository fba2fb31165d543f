"""The frozen records that everything after the forward pass reads; saving and loading them."""

from attnviz.record.attention import Array, Attention, Backend, EncoderDecoder, Kind, MapName, Record
from attnviz.record.files import FORMATS, read, save, write
from attnviz.record.survey import Evidence, Pooled, Rows, Survey, Top

__all__ = [
    "FORMATS",
    "Array",
    "Attention",
    "Backend",
    "EncoderDecoder",
    "Evidence",
    "Kind",
    "MapName",
    "Pooled",
    "Record",
    "Rows",
    "Survey",
    "Top",
    "Way",
    "read",
    "save",
    "write",
]
