"""An observer for pictures: the weights in as many cells as there are places."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.attention.tile import BLOCK, Observer, Tile


class Tiles(Observer):
    """Keeps the weights pooled into at most ``rows`` × ``columns`` cells, by their maximum or their mean.

    Of the whole map, or of a window: the queries and keys in ``queries`` and ``keys`` (first, stop). A cell joins
    ``across`` keys and ``down`` queries, powers of two up to a block and whole blocks beyond; a window that fits is
    kept weight by weight. Memory: L·H·rows·columns.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        queries: tuple[int, int] | None = None,
        keys: tuple[int, int] | None = None,
        how: Literal["max", "mean"] = "max",
    ) -> None:
        self._most = rows, columns
        self._window = queries, keys
        self.how = how
        self.down = self.across = 1
        self._size = 0, 0
        self._cells: dict[int, Tensor] = {}

    def tile(self, tile: Tile) -> None:
        """Pool the tile's weights into its cells."""
        heads, *sizes = tile.shape
        (top, bottom), (left, right) = (wanted or (0, size) for wanted, size in zip(self._window, sizes, strict=True))
        if tile.layer not in self._cells:
            self._size = bottom - top, right - left
            self.down, self.across = map(_step, self._size, self._most)
            shape = heads, -(-self._size[0] // self.down), -(-self._size[1] // self.across)
            self._cells[tile.layer] = tile.weights.new_zeros(shape)
        h, n, m = tile.weights.shape
        first, last = max(top, tile.query), min(bottom, tile.query + n)
        low, high = max(left, tile.key), min(right, tile.key + m)
        if first >= last or low >= high:
            return
        if self.across % BLOCK == 0 and low == tile.key and high == tile.key + m and (low - left) % BLOCK == 0:
            blocks = tile.peaks if self.how == "max" else tile.sums
            part = blocks[:, first - tile.query : last - tile.query]
            start, step = (low - left) // BLOCK, self.across // BLOCK
        else:
            part = tile.weights[:, first - tile.query : last - tile.query, low - tile.key : high - tile.key]
            start, step = low - left, self.across
        # Whole rows are joined fast; there are fewer numbers then whose neighbours are joined.
        joined = self._join(self._join(part, -2, first - top, self.down), -1, start, step)
        place = self._cells[tile.layer][tile.head : tile.head + h]
        row, column = (first - top) // self.down, (low - left) // self.across
        place = place[:, row : row + joined.shape[1], column : column + joined.shape[2]]
        if self.how == "max":
            torch.maximum(place, joined, out=place)
        else:
            place += joined

    def _join(self, values: Tensor, axis: Literal[-1, -2], start: int, step: int) -> Tensor:
        """Join each ``step`` values of an axis, whose first is at ``start``; cells begin at multiples of ``step``."""
        before = start % step
        after = -(before + values.shape[axis]) % step
        if before or after:
            values = functional.pad(values, (before, after) if axis == -1 else (0, 0, before, after))
        if step == 1:
            return values
        h, n, m = values.shape
        values = values.reshape(h, n, -1, step) if axis == -1 else values.reshape(h, -1, step, m)
        return values.amax(axis) if self.how == "max" else values.sum(axis)

    def layer(self, number: int) -> Tensor:
        """The cells of one layer, (H, rows, columns); the last ones may join fewer weights."""
        cells = self._cells[number]
        if self.how == "max":
            return cells
        rows, columns = (
            torch.full((count,), step).index_fill_(0, torch.tensor(count - 1), size - (count - 1) * step)
            for count, step, size in zip(cells.shape[1:], (self.down, self.across), self._size, strict=True)
        )
        return cells / torch.outer(rows, columns).to(cells)

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._cells))


def _step(size: int, most: int) -> int:
    """How many of ``size`` a cell joins so that there are at most ``most`` cells."""
    wanted = -(-size // most)
    return -(-wanted // BLOCK) * BLOCK if wanted > BLOCK else 1 << max(0, wanted - 1).bit_length()
