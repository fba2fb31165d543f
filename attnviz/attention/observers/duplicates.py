"""An observer of what a head gives to earlier tokens that are the same as the one that looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnviz.attention.observers.figures import wide
from attnviz.attention.tile import Observer, Tile, compiled


class DuplicateTokens(Observer):
    """Sums the weight on earlier positions that hold the same token id (Wang et al. 2022): L·H numbers.

    Args:
        ids: the tokens of a text that looks at itself, (N,).
        counting: which queries are summed over (N,); None is all.
    """

    def __init__(self, ids: Sequence[int], counting: NDArray[np.bool_] | None = None) -> None:
        self._ids = np.array(ids)
        # In ``order`` the positions of one token stand together and rise: from begins[q] to ends[q] those before q.
        self._order = self._ids.argsort(kind="stable")
        self._begins = np.searchsorted(self._ids[self._order], self._ids)
        self._ends = self._order.argsort()
        if counting is not None:
            self._ends = np.where(counting, self._ends, self._begins)
        self._sums: dict[int, Tensor] = {}

    @property
    def count(self) -> int:
        """How many queries count and have such a position before them."""
        return int((self._begins < self._ends).sum())

    def tile(self, tile: Tile) -> None:
        """Add what the tile's queries give."""
        weights = tile.weights
        h, n, _ = weights.shape
        if tile.layer not in self._sums:
            self._sums[tile.layer] = torch.zeros(tile.shape[0], dtype=wide(weights), device=weights.device)
        found = self._sums[tile.layer][tile.head : tile.head + h]
        begins, ends = (each[tile.query : tile.query + n] for each in (self._begins, self._ends))
        if (begins == ends).all():
            return
        loops = compiled(weights)
        if loops:
            loops.at_places(weights.numpy(), tile.key, self._order, begins, ends, found.numpy())
        else:
            same = torch.from_numpy(self._same(tile, begins < ends)).to(weights)
            found += torch.einsum("hnm,nm->hn", weights, same).to(found).sum(-1)

    def _same(self, tile: Tile, query_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which keys of the tile are earlier ones of each query's token, (n, m)."""
        n, m = tile.weights.shape[1:]
        queries, keys = slice(tile.query, tile.query + n), slice(tile.key, tile.key + m)
        places = np.arange(len(self._ids))
        same: NDArray[np.bool_] = self._ids[queries, None] == self._ids[keys]
        same &= places[queries, None] > places[keys]
        same &= query_mask[:, None]
        return same

    def layer(self, number: int) -> Tensor:
        """What all queries of one layer give, (H,)."""
        return self._sums[number]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))
