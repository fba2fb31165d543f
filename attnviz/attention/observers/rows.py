"""An observer that hands on the rows of some queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.arrays import like
from attnviz.attention.tile import Observer, Tile


class OnlyQueries(Observer):
    """Hands on only some ``queries``, in ascending order, and numbers them from 0."""

    starts = ()

    def __init__(self, observers: Sequence[Observer], queries: Sequence[int] | NDArray[np.intp]) -> None:
        self.observers = observers
        self._queries = np.asarray(queries, np.intp)

    def tile(self, tile: Tile) -> None:
        """Hand on the rows of the tile that are among the queries."""
        ends = tile.query, tile.query + tile.weights.shape[1]
        first, last = np.searchsorted(self._queries, ends).tolist()
        if first >= last:
            return
        rows = like(self._queries[first:last] - tile.query, tile.weights)
        shape = tile.shape[0], len(self._queries), tile.shape[2]
        part = Tile(tile.layer, first, tile.key, tile.weights[:, rows], shape, tile.kind, tile.head, window=tile.window)
        for observer in self.observers:
            observer.tile(part)
