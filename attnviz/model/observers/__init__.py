"""What is kept of a forward pass: small objects to whom the kernel shows each tile of weights.

What nobody observes is never stored. All of them are exact: nothing is sampled, nothing left to chance.
"""

from attnviz.model.observers.cropped import Cropped
from attnviz.model.observers.duplicates import DuplicateTokens
from attnviz.model.observers.figures import EDGES
from attnviz.model.observers.kept import HiddenStates, Pairs, Weights, as_array, stack
from attnviz.model.observers.links import Band, TopLinks
from attnviz.model.observers.pooled import Tiles
from attnviz.model.observers.rows import Average, Rows
from attnviz.model.observers.span import SpanSums
from attnviz.model.observers.statistics import Confidence, HeadStats, Received
from attnviz.model.observers.units import InUnits, Only
from attnviz.model.observers.windows import InWindows, Sliding, WindowReceived, WindowStats

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
