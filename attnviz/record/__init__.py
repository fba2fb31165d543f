"""Frozen records, which everything after the forward pass reads; and how they are saved and loaded."""

from attnviz.record.attention import Array, AttentionRecord, Backend, EncoderDecoderRecord, Kind, MapName, Record
from attnviz.record.files import FORMATS, read, save, write
from attnviz.record.observation import Evidence, KeySpan, Observation, Others, Pooled, Region, Rows, Top, Usual
from attnviz.record.prediction import Prediction, Problem
from attnviz.record.request import Cell, Crop, Heads, Pairs, Request, Spread, Unit

__all__ = [
    "FORMATS",
    "Array",
    "AttentionRecord",
    "Backend",
    "Cell",
    "Crop",
    "EncoderDecoderRecord",
    "Evidence",
    "Heads",
    "KeySpan",
    "Kind",
    "MapName",
    "Observation",
    "Others",
    "Pairs",
    "Pooled",
    "Prediction",
    "Problem",
    "Record",
    "Region",
    "Request",
    "Rows",
    "Spread",
    "Top",
    "Unit",
    "Usual",
    "read",
    "save",
    "write",
]
