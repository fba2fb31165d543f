"""Frozen records, which everything after the forward pass reads; and how they are saved and loaded."""

from attnviz.record.attention import Array, AttentionRecord, Backend, EncoderDecoderRecord, Kind, MapName, Record
from attnviz.record.files import FORMATS, read, save, write
from attnviz.record.measure import ATTENTION, MEASURES, Measure, WeightsName, measure_of
from attnviz.record.observation import Evidence, KeySpan, Observation, Others, Pooled, Region, Rows, Top, Usual
from attnviz.record.prediction import Prediction, Problem
from attnviz.record.request import Cell, Crop, Heads, Pairs, Rank, Request, Spread, Unit

__all__ = [
    "ATTENTION",
    "FORMATS",
    "MEASURES",
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
    "Measure",
    "Observation",
    "Others",
    "Pairs",
    "Pooled",
    "Prediction",
    "Problem",
    "Rank",
    "Record",
    "Region",
    "Request",
    "Rows",
    "Spread",
    "Top",
    "Unit",
    "Usual",
    "WeightsName",
    "measure_of",
    "read",
    "save",
    "write",
]
