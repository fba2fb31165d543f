"""An observer that hands tiles on in other units, to whatever observers; ``reading`` reads most of these at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnviz.attention.tile import Observer, Tile


class InUnits(Observer):
    """Hands tiles on in the reader's units: to a unit the sum over its tokens, from a unit their mean.

    So are word weights defined (Clark et al. 2019). ``queries`` and ``keys`` are the first tokens of the units, which
    cut the text without a gap. Of the tiles that it hands on, ``query``, ``key`` and ``shape`` count units. What does
    not count is zero in them: ``query_mask`` (n,) and ``key_mask`` (m,) say which units do, and ``itself`` whether
    a unit's weight to the unit of its own number does.
    """

    starts = ()

    def __init__(
        self,
        observers: Sequence[Observer],
        queries: Sequence[int] | NDArray[np.int64],
        keys: Sequence[int] | NDArray[np.int64],
        *,
        query_mask: NDArray[np.bool_] | None = None,
        key_mask: NDArray[np.bool_] | None = None,
        itself: bool = True,
    ) -> None:
        self.observers = observers
        self._first = torch.as_tensor(queries), torch.as_tensor(keys)
        self._counts = query_mask, key_mask
        self._itself = itself
        self._place = torch.empty(0)
        # Of the unit whose tokens go on in the next tile: its sum so far, by layer and head.
        self._open: dict[tuple[int, int], tuple[int, Tensor]] = {}

    def tile(self, tile: Tile) -> None:
        """Sum a tile's tokens, and hand on the units that end in it."""
        (h, n, m), (heads, tokens, _) = tile.weights.shape, tile.shape
        rows = _units_of(self._first[0], tile.query, tile.query + n)
        columns = _units_of(self._first[1], tile.key, tile.key + m)
        first, low, high = int(rows[0]), int(columns[0]), int(columns[-1]) + 1
        before = self._carried(tile)
        if before is not None:
            low, high = min(low, before[0]), max(high, before[0] + before[1].shape[-1])
        count = int(rows[-1]) - first + 1
        weights = self._room(tile.weights, (h, count, high - low))
        _sum(tile.weights, rows - first, columns - low, weights)
        if before is not None:
            weights[:, 0, before[0] - low :][:, : before[1].shape[-1]] += before[1]
        ends = self._first[0][first + 1 : first + 1 + count]
        if len(ends) < count:
            ends = torch.cat((ends, torch.tensor([tokens])))
        if int(ends[-1]) > tile.query + n:
            count -= 1
            kept = weights[:, count].clone()
            self._open |= {(tile.layer, tile.head + i): (low, kept[i]) for i in range(h)}
        if not count:
            return
        weights = weights[:, :count].contiguous()
        # A unit none of whose queries is observed has no length.
        lengths = (ends[:count] - self._first[0][first : first + count])[:, None].clamp(min=1)
        if int(lengths.max()) > 1:
            weights /= lengths.to(weights)
        self._count(weights, first, low)
        shape = heads, len(self._first[0]), len(self._first[1])
        seen = Tile(tile.layer, first, low, weights, shape, tile.kind, tile.head, window=tile.window)
        for observer in self.observers:
            observer.tile(seen)

    def _carried(self, tile: Tile) -> tuple[int, Tensor] | None:
        """What the tile before left open, (h, m), and of which key on."""
        if (tile.layer, tile.head) not in self._open:
            return None
        # Tiles of another window may have other heads together: each head's sum was kept by itself.
        opened = [self._open.pop((tile.layer, tile.head + i)) for i in range(len(tile.weights))]
        return opened[0][0], torch.stack([sums for _, sums in opened])

    def _room(self, like: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Zeros, in the same place for each tile: new memory costs more than its numbers."""
        size = math.prod(shape)
        if len(self._place) < size or self._place.dtype != like.dtype or self._place.device != like.device:
            self._place = like.new_empty(size)
        return self._place[:size].view(shape).zero_()

    def _count(self, weights: Tensor, first: int, low: int) -> None:
        """Set to zero what does not count of ``weights`` (h, n, m), from the units ``first`` and ``low`` on."""
        query_mask, key_mask = (None if mask is None else torch.from_numpy(mask) for mask in self._counts)
        if key_mask is not None:
            weights *= key_mask[low : low + weights.shape[-1]].to(weights)
        if query_mask is not None:
            weights *= query_mask[first : first + weights.shape[1], None].to(weights)
        if not self._itself:
            weights.diagonal(first - low, 1, 2).zero_()


def _sum(weights: Tensor, rows: Tensor, columns: Tensor, place: Tensor) -> None:
    """Add the ``weights`` (h, n, m) up in ``place``, each in the row and column of its query's and key's unit."""
    n, m = weights.shape[1:]
    if len(torch.unique_consecutive(columns)) == m and len(torch.unique_consecutive(rows)) == n:
        place[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = weights
    else:
        rows, columns = rows.to(weights.device), columns.to(weights.device)
        part = weights.new_zeros(*weights.shape[:2], place.shape[-1]).index_add_(2, columns, weights)
        place.index_add_(1, rows, part)


def _units_of(firsts: Tensor, start: int, stop: int) -> Tensor:
    """The number of the unit of each token from ``start`` to ``stop``; no more is looked at of a long text."""
    low, high = int(torch.searchsorted(firsts, start, right=True)) - 1, int(torch.searchsorted(firsts, stop))
    edges = torch.cat((torch.tensor([start]), firsts[low + 1 : high], torch.tensor([stop])))
    return torch.arange(low, high).repeat_interleave(edges.diff())
