"""Observers of some queries: their rows are handed on, or averaged over the heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attnviz.attention.tile import Observer, Tile


class Rows(Observer):
    """Hands on the queries from ``start`` to ``stop`` (exclusive) alone, which then are numbered from 0."""

    def __init__(self, observers: Sequence[Observer], start: int, stop: int) -> None:
        self.observers = observers
        self._start, self._stop = start, stop

    def tile(self, tile: Tile) -> None:
        """Hand on the part of the tile that is wanted."""
        first, last = max(tile.query, self._start), min(tile.query + tile.weights.shape[1], self._stop)
        if first >= last:
            return
        weights = tile.weights[:, first - tile.query : last - tile.query].contiguous()
        shape = tile.shape[0], self._stop - self._start, tile.shape[2]
        part = Tile(tile.layer, first - self._start, tile.key, weights, shape, tile.kind, tile.head)
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
