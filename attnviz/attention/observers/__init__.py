"""What is kept of a forward pass: small objects to whom the kernel shows each tile of weights.

What nobody observes is never stored. All of them are exact: nothing is sampled, nothing left to chance.
"""

from attnviz.attention.observers.cropped import Cropped
from attnviz.attention.observers.duplicates import DuplicateTokens
from attnviz.attention.observers.figures import EDGES
from attnviz.attention.observers.kept import HiddenStates, Pairs, Weights, as_array, stack
from attnviz.attention.observers.links import Band, TopLinks
from attnviz.attention.observers.pooled import Tiles
from attnviz.attention.observers.rows import Average, Rows
from attnviz.attention.observers.span import SpanSums
from attnviz.attention.observers.statistics import Confidence, HeadStats, Received
from attnviz.attention.observers.units import InUnits, Only
from attnviz.attention.observers.windows import InWindows, Sliding, WindowReceived, WindowStats

__all__ = [
    "EDGES",
    "Average",
    "Band",
    "Confidence",
    "Cropped",
    "DuplicateTokens",
    "HeadStats",
    "HiddenStates",
    "InUnits",
    "InWindows",
    "Only",
    "Pairs",
    "Received",
    "Rows",
    "Sliding",
    "SpanSums",
    "Tiles",
    "TopLinks",
    "Weights",
    "WindowReceived",
    "WindowStats",
    "as_array",
    "stack",
]
