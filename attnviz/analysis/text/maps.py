"""The maps of an observation: the weights of all heads, pooled where there are too many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from attnviz.analysis.text.crop import spans
from attnviz.analysis.text.units import Mask, Reading
from attnviz.attention.observers import MapSelection, Units
from attnviz.attention.observers.selection import step
from attnviz.record import Crop, Pooled

_EXACT = 1 << 26
"""The most weights of all heads that are kept without pooling: 256 MiB in float32."""
_CELLS = 1 << 24
"""The most cells of the pooled maps of all heads: 64 MiB in float32."""
SIZE = 256
"""The most rows and columns of a pooled map by default."""


def plan_maps(
    units: Reading,
    crop: Crop,
    passage: Mask | None,
    *,
    sink: bool,
    special: bool,
    size: int | None,
    layers: int,
    only: tuple[int, ...] | None = None,
) -> Callable[[int], MapSelection]:
    """Return a function from the number of heads in a layer to the part of the maps that is kept.

    Args:
        units: what rows and columns are.
        crop: which of them are shown; only the rows in ``passage`` count.
        passage: the units of the passage that is asked for.
        sink: whether the first unit counts as a key in pooled maps too.
        special: special tokens and punctuation are shown.
        size: the most cells across and down; None is all weights where there is memory for them.
        layers: how many there will be.
        only: the numbers of the layers whose maps are kept; None keeps all.
    """
    rows, columns = spans(crop, units)
    if passage is not None and crop.rows == (None, None):
        found = np.flatnonzero(passage)
        rows = int(found[0]), int(found[-1]) + 1
    count = layers if only is None else len(only)

    def plan(heads: int) -> MapSelection:
        side = _side(rows, columns, size, max(1, count) * heads)
        down, across = (step(stop - start, side) for start, stop in (rows, columns))
        query_mask, key_mask = passage, None
        if max(down, across) > 1 and not special:
            # The sink would outshine all others in its cell, and the scale with it.
            query_mask, key_mask = (~(axis.special | axis.punctuation) for axis in (units.queries, units.keys))
            key_mask[0] &= sink
            query_mask = query_mask if passage is None else query_mask & passage
        return MapSelection(*rows, *columns, down, across, query_mask, key_mask, only)

    return plan


def _side(rows: tuple[int, int], columns: tuple[int, int], size: int | None, heads: int) -> int:
    """The most rows and columns of the maps of ``heads`` heads."""
    down, across = (stop - start for start, stop in (rows, columns))
    if max(down, across) <= (size or max(down, across)) and heads * down * across <= _EXACT:
        return max(down, across)
    return min(size or SIZE, max(1, int((_CELLS / heads) ** 0.5)))


def pooled(units: Units) -> Pooled:
    """The maps of all heads, from the cells that ``units`` kept."""
    map_ = units.map
    numbers = tuple(number for number in units.layers() if map_.layers is None or number in map_.layers)
    nothing = np.zeros((0, 0, 0, 0), np.float32)  # no layer has one of the numbers that were asked for
    values = units.cells(numbers) if numbers else nothing
    size = map_.bottom - map_.top, map_.right - map_.left
    return Pooled(values, map_.down, map_.across, map_.top, map_.left, size, numbers)
