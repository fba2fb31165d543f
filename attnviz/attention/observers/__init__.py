"""What is kept of a forward pass: small objects to whom the kernel shows each tile of weights.

What nobody observes is never stored. All of them are exact: nothing is sampled, nothing left to chance.
"""

from attnviz.attention.observers.cropped import Cropped
from attnviz.attention.observers.kept import HiddenStates, Pairs, Weights, as_array, stack
from attnviz.attention.observers.only import Only
from attnviz.attention.observers.reading import Units
from attnviz.attention.observers.rows import OnlyQueries
from attnviz.attention.observers.selection import LayerFindings, LinkSelection, MapSelection
from attnviz.attention.observers.statistics import HeadSums
from attnviz.attention.observers.windows import InWindows, Sliding, WindowSums

__all__ = [
    "Cropped",
    "HeadSums",
    "HiddenStates",
    "InWindows",
    "LayerFindings",
    "LinkSelection",
    "MapSelection",
    "Only",
    "OnlyQueries",
    "Pairs",
    "Sliding",
    "Units",
    "Weights",
    "WindowSums",
    "as_array",
    "stack",
]
