"""The frozen records that everything after the forward pass reads; saving and loading them."""

from attnviz.record.attention import Array, Attention, EncoderDecoder, Kind, MapName, Record, Way
from attnviz.record.files import FORMATS, read, save, write
from attnviz.record.survey import Evidence, Pooled, Rows, Survey, Top

__all__ = [
    "FORMATS",
    "Array",
    "Attention",
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
