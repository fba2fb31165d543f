"""Observers: objects that see each tile of weights of a forward pass, and keep what is asked for.

What no observer keeps is never stored. All of them are exact: nothing is sampled.
"""

from attnviz.attention.observers.changed import KeptValues, RowShares, ValueNorms
from attnviz.attention.observers.cropped import Cropped
from attnviz.attention.observers.kept import (
    HiddenStates,
    LastStates,
    Pairs,
    Weights,
    as_array,
    stack,
)
from attnviz.attention.observers.only import Only
from attnviz.attention.observers.reading import Units
from attnviz.attention.observers.regions import UnitsAndRegions
from attnviz.attention.observers.rows import OnlyQueries
from attnviz.attention.observers.scores import Scores
from attnviz.attention.observers.selection import LayerFindings, LinkSelection, MapSelection, UsualSelection
from attnviz.attention.observers.statistics import HeadSums, Received
from attnviz.attention.observers.windows import InWindows, Sliding, WindowSums

__all__ = [
    "Cropped",
    "HeadSums",
    "HiddenStates",
    "InWindows",
    "KeptValues",
    "LastStates",
    "LayerFindings",
    "LinkSelection",
    "MapSelection",
    "Only",
    "OnlyQueries",
    "Pairs",
    "Received",
    "RowShares",
    "Scores",
    "Sliding",
    "Units",
    "UnitsAndRegions",
    "UsualSelection",
    "ValueNorms",
    "Weights",
    "WindowSums",
    "as_array",
    "stack",
]
