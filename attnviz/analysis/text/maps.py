"""The maps of an observation: the weights of all heads, pooled where there are too many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attnviz.analysis.text.crop import spans
from attnviz.analysis.text.units import Mask, Reading
from attnviz.attention.kernel import Observer, Tile
from attnviz.attention.observers import InUnits, Tiles
from attnviz.record import Crop, Pooled

_EXACT = 1 << 26
"""So many weights of all heads are kept one by one: 256 MiB in float32."""
_CELLS = 1 << 24
"""The most cells of the maps of all heads where they are pooled: 64 MiB in float32."""
SIZE = 256
"""The most cells across and down of a pooled map, where nobody says how many."""


class Maps(Observer):
    """Keeps a map of each head in cells, and not more of these than there is memory for."""

    def __init__(
        self,
        units: Reading,
        crop: Crop,
        passage: Mask | None,
        *,
        sink: bool,
        special: bool,
        size: int | None,
        layers: int,
        only: tuple[int, ...] | None = None,
    ) -> None:
        """Observe what a ``crop`` shows of tiles in ``units``, of which only those in ``passage`` look.

        Args:
            sink: the first unit is looked at as any other, also where the map is pooled.
            special: special tokens and punctuation are shown.
            size: the most cells across and down; None is all weights where there is memory for them.
            layers: how many there will be.
            only: the numbers of the layers whose maps are kept; None keeps all.
        """
        self._units, self._passage, self._sink, self._special = units, passage, sink, special
        self._size, self._layers, self._only = size, layers if only is None else len(only), only
        self._rows, self._columns = spans(crop, units)
        if passage is not None and crop.rows == (None, None):
            found = np.flatnonzero(passage)
            self._rows = int(found[0]), int(found[-1]) + 1
        self._tiles: Tiles | None = None
        self._counted: Observer | None = None

    def tile(self, tile: Tile) -> None:
        """Pool the tile; the first one says how many heads there are."""
        if self._only is not None and tile.layer not in self._only:
            return
        if self._counted is None:
            side = self._side(tile.shape[0])
            self._tiles = Tiles(side, side, queries=self._rows, keys=self._columns)
            self._counted = masked([self._tiles], self._units, *self._counting(side))
        self._counted.tile(tile)

    def _side(self, heads: int) -> int:
        """The most cells across and down, where each layer has so many ``heads``."""
        down, across = (stop - start for start, stop in (self._rows, self._columns))
        heads *= self._layers
        if max(down, across) <= (self._size or max(down, across)) and heads * down * across <= _EXACT:
            return max(down, across)
        return min(self._size or SIZE, max(1, int((_CELLS / heads) ** 0.5)))

    def _counting(self, side: int) -> tuple[Mask | None, Mask | None]:
        """What is not zero: all that a map shows and, where it is pooled, not the sink.

        The sink would outshine all others in its cell, and the scale with it.
        """
        pooled = max(stop - start for start, stop in (self._rows, self._columns)) > side
        if not pooled or self._special:
            return self._passage, None
        query_mask, key_mask = (~(axis.special | axis.punctuation) for axis in (self._units.queries, self._units.keys))
        key_mask[0] &= self._sink
        return query_mask if self._passage is None else query_mask & self._passage, key_mask

    def pooled(self) -> Pooled:
        """The cells of all heads."""
        (top, bottom), (left, right) = self._rows, self._columns
        size = bottom - top, right - left
        if self._tiles is None:  # no layer has one of the numbers that were asked for
            return Pooled(np.zeros((0, 0, 0, 0), np.float32), 1, 1, top, left, size, ())
        numbers = self._tiles.layers()
        values = np.stack([self._tiles.layer(number).cpu().numpy() for number in numbers])
        return Pooled(values, self._tiles.down, self._tiles.across, top, left, size, numbers)


def masked(
    observers: Sequence[Observer],
    units: Reading,
    query_mask: Mask | None,
    key_mask: Mask | None,
    *,
    itself: bool = True,
) -> InUnits:
    """``observers`` of tiles in ``units``, in which what does not count is zero."""
    sizes = map(range, (len(units.queries), len(units.keys)))
    return InUnits(observers, *sizes, query_mask=query_mask, key_mask=key_mask, itself=itself)
