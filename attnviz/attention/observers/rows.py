"""Observers of some queries: their rows are handed on, or averaged over the heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnviz.attention.tile import Observer, Tile


class Rows(Observer):
    """Hands on some ``queries`` alone, which rise; they then are numbered from 0."""

    starts = ()

    def __init__(self, observers: Sequence[Observer], queries: Sequence[int] | NDArray[np.intp]) -> None:
        self.observers = observers
        self._queries = torch.as_tensor(queries)

    def tile(self, tile: Tile) -> None:
        """Hand on the part of the tile that is wanted."""
        ends = torch.tensor([tile.query, tile.query + tile.weights.shape[1]])
        first, last = torch.searchsorted(self._queries, ends).tolist()
        if first >= last:
            return
        rows = (self._queries[first:last] - tile.query).to(tile.weights.device)
        shape = tile.shape[0], len(self._queries), tile.shape[2]
        part = Tile(tile.layer, first, tile.key, tile.weights[:, rows], shape, tile.kind, tile.head, window=tile.window)
        for observer in self.observers:
            observer.tile(part)


class Average(Observer):
    """Keeps the rows of some ``queries``, averaged over all heads of all layers: Q·M numbers."""

    def __init__(self, queries: Sequence[int]) -> None:
        self._queries = torch.tensor(queries, dtype=torch.long)
        self._sum = torch.zeros(0)
        self._heads: dict[int, int] = {}

    def tile(self, tile: Tile) -> None:
        """Add the rows of the tile that are wanted."""
        n, m = tile.weights.shape[1:]
        if not self._heads:
            self._sum = tile.weights.new_zeros(len(self._queries), tile.shape[2])
        self._heads[tile.layer] = tile.shape[0]
        wanted = torch.nonzero((self._queries >= tile.query) & (self._queries < tile.query + n)).flatten()
        if len(wanted):
            rows = tile.weights[:, (self._queries[wanted] - tile.query).to(tile.weights.device)].sum(0)
            self._sum[wanted.to(rows.device), tile.key : tile.key + m] += rows

    @property
    def rows(self) -> Tensor:
        """The averages, (Q, M), in the order of ``queries``."""
        return self._sum / sum(self._heads.values())
