"""Observers that keep the strongest weights: of each query, or of each distance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.attention.tile import BLOCK, Observer, Tile


class TopLinks(Observer):
    """Keeps the ``k`` largest weights of each head and query, and their keys: L·H·N·k numbers of each.

    ``keys`` (M,) says which keys count; None counts all.
    """

    def __init__(self, k: int, keys: Tensor | None = None) -> None:
        self.k = k
        self._counts = keys
        self._found: dict[int, tuple[Tensor, Tensor]] = {}

    def tile(self, tile: Tile) -> None:
        """Find the largest weights of the tile's rows."""
        if self._counts is not None:
            counts = self._counts[tile.key : tile.key + tile.weights.shape[-1]].to(tile.weights)
            tile = Tile(tile.layer, tile.query, tile.key, tile.weights * counts, tile.shape, tile.kind, tile.head)
        (h, n, m), (heads, queries, _) = tile.weights.shape, tile.shape
        if tile.layer not in self._found:
            shape = heads, queries, self.k
            self._found[tile.layer] = (
                tile.weights.new_zeros(shape),
                tile.weights.new_full(shape, -1, dtype=torch.int32),
            )
        weights, keys = largest(tile, min(self.k, m))
        keys = torch.where(weights > 0, keys + tile.key, -1)
        for place, found in zip(self._found[tile.layer], (weights, keys), strict=True):
            place[tile.head : tile.head + h, tile.query : tile.query + n, : found.shape[-1]] = found

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """The weights and keys of one layer, both (H, N, k), the largest first; 0 and −1 where there are fewer."""
        return self._found[number]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._found))


def largest(tile: Tile, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` largest weights of each row of ``tile``, and their columns, both (h, n, k).

    The k largest numbers lie in the k blocks with the largest maxima, and there at the k places with the largest
    maxima over those blocks: k · k numbers are left to choose from.
    """
    h, n, _ = tile.weights.shape
    blocks = tile.peaks.shape[-1]
    if blocks <= 2 * k:
        weights, columns = tile.weights.sort(dim=-1, stable=True, descending=True)  # of equal ones the first come first
        return weights[..., :k], columns[..., :k]
    chosen = tile.peaks.view(h * n, blocks).topk(k, sorted=False).indices  # (h·n, k)
    lines = _blocks(tile, chosen)  # (h·n, k, BLOCK)
    places = lines.amax(1).topk(k, sorted=False).indices  # (h·n, k)
    weights, best = lines.gather(2, places[:, None].expand(-1, k, -1)).flatten(1).topk(k)
    columns = chosen.gather(1, best // k) * BLOCK + places.gather(1, best % k)
    return weights.view(h, n, k), columns.view(h, n, k)


def _blocks(tile: Tile, chosen: Tensor) -> Tensor:
    """Some blocks of each row, (h·n, k, BLOCK), by their numbers, ``chosen`` (h·n, k); no weight is −1."""
    m = tile.weights.shape[-1]
    rows = functional.pad(tile.weights, (0, -m % BLOCK), value=-1.0) if m % BLOCK else tile.weights
    count = rows.shape[-1] // BLOCK
    lines = torch.arange(len(chosen), device=chosen.device)[:, None] * count + chosen
    return rows.view(-1, BLOCK).index_select(0, lines.view(-1)).view(*chosen.shape, BLOCK)


class Band(Observer):
    """Keeps the ``k`` strongest links of each head in each band of distances, near and far.

    ``edges`` (1, 10, 100, …) begin the bands; the last has no end. The distance is that between the places of query
    and key, to either side. Memory: L·H·bands·k.
    """

    def __init__(self, edges: Sequence[int], k: int) -> None:
        self.edges, self.k = tuple(edges), k
        self._found: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def tile(self, tile: Tile) -> None:
        """Find the tile's strongest links of each band."""
        if tile.layer not in self._found:
            shape = tile.shape[0], len(self.edges), self.k
            queries, keys = (tile.weights.new_full(shape, -1, dtype=torch.int32) for _ in range(2))
            self._found[tile.layer] = tile.weights.new_zeros(shape), queries, keys
        ends = [*self.edges[1:], max(tile.shape[1:]) + 1]
        for band, (near, far) in enumerate(zip(self.edges, ends, strict=True)):
            # Keys before the queries, at q − key in [near, far), and keys behind them; the query's own is no two.
            self._search(tile, band, 1 - far, -near)
            self._search(tile, band, max(1, near), far - 1)

    def _search(self, tile: Tile, band: int, low: int, high: int) -> None:
        """Look among the keys from q + ``low`` to q + ``high``."""
        n, m = tile.weights.shape[1:]
        at = tile.query - tile.key  # the first query's column
        left, right = max(0, at + low), min(m, at + n + high)
        if left >= right:
            return
        # From ``inner`` to ``outer`` lie the whole blocks that all rows of the tile see in this band.
        inner = -(-max(0, at + n - 1 + low) // BLOCK)
        outer = min(m, at + high + 1) // BLOCK
        if inner >= outer:
            self._within(tile, band, left, right, low, high)
            return
        self._blocks(tile, band, inner, outer)
        self._within(tile, band, left, inner * BLOCK, low, high)
        self._within(tile, band, outer * BLOCK, right, low, high)

    def _within(self, tile: Tile, band: int, left: int, right: int, low: int, high: int) -> None:
        """Look in the columns from ``left`` to ``right``, of which each row has some in the band."""
        if left >= right:
            return
        # The blocks around may hold what is larger, but nothing that is smaller.
        if not self._promising(tile, band, tile.peaks[..., left // BLOCK : -(-right // BLOCK)].amax((1, 2))):
            return
        n = tile.weights.shape[1]
        part = tile.weights[..., left:right]  # (h, n, w)
        device = part.device
        apart = torch.arange(left, right, device=device) - torch.arange(n, device=device)[:, None]
        apart += tile.key - tile.query  # (n, w): key − query
        part = torch.where((apart >= low) & (apart <= high), part, 0).flatten(1)
        weights, places = part.topk(min(self.k, part.shape[-1]))
        width = right - left
        self._keep(tile, band, weights, places // width, places % width + left)

    def _blocks(self, tile: Tile, band: int, inner: int, outer: int) -> None:
        """Look in the blocks from ``inner`` to ``outer``, which are in the band in all rows."""
        h, n, _ = tile.weights.shape
        peaks = tile.peaks[..., inner:outer]
        if not self._promising(tile, band, peaks.amax((1, 2))):
            return
        count = outer - inner
        chosen = peaks.flatten(1).topk(min(self.k, n * count), sorted=False).indices  # (h, k)
        rows, blocks = chosen // count, chosen % count + inner
        columns = blocks[..., None] * BLOCK + torch.arange(BLOCK, device=blocks.device)  # (h, k, BLOCK)
        heads = torch.arange(h, device=blocks.device)[:, None, None]
        part = tile.weights[heads, rows[..., None], columns].flatten(1)
        weights, places = part.topk(min(self.k, part.shape[-1]))
        row, block = rows.gather(1, places // BLOCK), blocks.gather(1, places // BLOCK)
        self._keep(tile, band, weights, row, block * BLOCK + places % BLOCK)

    def _promising(self, tile: Tile, band: int, peaks: Tensor) -> bool:
        """Whether ``peaks`` (h,) are beyond the weakest of what is kept, in any head; a GPU is not asked."""
        kept = self._found[tile.layer][0][tile.head : tile.head + len(peaks), band, -1]
        return peaks.device.type != "cpu" or bool((peaks > kept).any())

    def _keep(self, tile: Tile, band: int, weights: Tensor, rows: Tensor, columns: Tensor) -> None:
        """Keep the k strongest of those that were there and these, (h, k) each."""
        places = slice(tile.head, tile.head + len(weights)), band
        kept = self._found[tile.layer]
        new = weights, rows + tile.query, columns + tile.key
        both = [torch.cat((old[places], more.to(old)), dim=1) for old, more in zip(kept, new, strict=True)]
        strongest, order = both[0].sort(dim=1, descending=True, stable=True)
        kept[0][places] = strongest[:, : self.k]
        for old, all_ in zip(kept[1:], both[1:], strict=True):
            old[places] = torch.where(strongest > 0, all_.gather(1, order), -1)[:, : self.k]

    def layer(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """The weights, queries and keys of one layer, (H, bands, k) each, the strongest first; 0, −1, −1 for none."""
        return self._found[number]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._found))
