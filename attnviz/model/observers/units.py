"""Observers between the kernel and others: they hand tiles on, of one kind only, or read in other units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from attnviz.model.tile import Kind, Observer, Tile


class Only(Observer):
    """Hands on the tiles of one ``kind``: an encoder–decoder has three maps."""

    def __init__(self, kind: Kind, observers: Sequence[Observer]) -> None:
        self.kind, self.observers = kind, observers
        self.shares = any(observer.shares for observer in observers)

    def tile(self, tile: Tile) -> None:
        """Hand on a tile of the kind."""
        if tile.kind == self.kind:
            for observer in self.observers:
                observer.tile(tile)


class InUnits(Observer):
    """Hands tiles on in the reader's units: to a unit the sum over its tokens, from a unit their mean.

    So are word weights defined (Clark et al. 2019). ``queries`` and ``keys`` are the first tokens of the units, which
    cut the text without a gap. Of the tiles that it hands on, ``query``, ``key`` and ``shape`` count units. What does
    not count is zero in them: ``looking`` (n,) and ``looked_at`` (m,) say which units do, and ``itself`` whether
    a unit's weight to the unit of its own number does.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        queries: Sequence[int],
        keys: Sequence[int],
        *,
        looking: NDArray[np.bool_] | None = None,
        looked_at: NDArray[np.bool_] | None = None,
        itself: bool = True,
    ) -> None:
        self.observers = observers
        self._first = torch.tensor(queries), torch.tensor(keys)
        self._counts = looking, looked_at
        self._itself = itself
        # Of the unit whose tokens go on in the next tile: its sum so far, by layer and head.
        self._open: dict[tuple[int, int], tuple[int, Tensor]] = {}

    def tile(self, tile: Tile) -> None:
        """Sum a tile's tokens, and hand on the units that end in it."""
        (h, n, m), (heads, tokens, _) = tile.weights.shape, tile.shape
        device = tile.weights.device
        rows, columns = _unit_of(self._first[0], tile.query, n), _unit_of(self._first[1], tile.key, m)
        first, low = int(rows[0]), int(columns[0])
        count, width = int(rows[-1]) - first + 1, int(columns[-1]) - low + 1
        weights = tile.weights
        if width < m:
            weights = weights.new_zeros(h, n, width).index_add_(2, (columns - low).to(device), weights)
        if count < n:
            weights = weights.new_zeros(h, count, width).index_add_(1, (rows - first).to(device), weights)
        weights, low = self._carried(tile, weights, low)
        ends = torch.cat((self._first[0][1:], torch.tensor([tokens])))[first : first + count]
        if int(ends[-1]) > tile.query + n:
            count -= 1
            kept = weights[:, count:].clone()
            self._open |= {(tile.layer, tile.head + i): (low, kept[i]) for i in range(h)}
        if not count:
            return
        lengths = (ends - self._first[0][first : first + len(ends)])[:count, None].to(weights)
        shape = heads, len(self._first[0]), len(self._first[1])
        counted = self._counted(weights[:, :count] / lengths, first, low)
        seen = Tile(tile.layer, first, low, counted, shape, tile.kind, tile.head)
        for observer in self.observers:
            observer.tile(seen)

    def _carried(self, tile: Tile, weights: Tensor, low: int) -> tuple[Tensor, int]:
        """``weights`` (h, n, m) of the keys from ``low`` on, with what the tile before left open."""
        if (tile.layer, tile.head) not in self._open:
            return weights, low
        # Tiles of another window may have other heads together: each head's sum was kept by itself.
        opened = [self._open.pop((tile.layer, tile.head + i)) for i in range(len(weights))]
        start, before = opened[0][0], torch.stack([sums for _, sums in opened])
        left, right = max(0, low - start), max(0, start + before.shape[-1] - low - weights.shape[-1])
        weights = functional.pad(weights, (left, right))
        at = start - (low - left)
        weights[:, :1, at : at + before.shape[-1]] += before
        return weights, low - left

    def _counted(self, weights: Tensor, first: int, low: int) -> Tensor:
        """``weights`` (h, n, m), which are nobody else's, with zeros for what does not count."""
        looking, looked_at = (None if mask is None else torch.from_numpy(mask) for mask in self._counts)
        if looked_at is not None:
            weights *= looked_at[low : low + weights.shape[-1]].to(weights)
        if looking is not None:
            weights *= looking[first : first + weights.shape[1], None].to(weights)
        if not self._itself:
            weights.diagonal(first - low, 1, 2).zero_()
        return weights


def _unit_of(firsts: Tensor, start: int, count: int) -> Tensor:
    """The number of the unit of each of ``count`` tokens from ``start`` on."""
    return torch.searchsorted(firsts, torch.arange(start, start + count), right=True) - 1
