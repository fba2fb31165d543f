"""Observers that count: figures of each head, and what each key receives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from attnviz.model.kernel import BLOCK, Observer, Tile
from attnviz.model.observers.links import strongest_key
from attnviz.model.spec import Reach

EDGES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""Where the bands of distances begin; before them there is only the query itself."""


class HeadStats(Observer):
    """Figures of each head, averaged over the queries: the definitions are those of Clark et al. 2019 and others.

    ``figures`` has for each name an array (L, H): ``entropy`` (−Σ A ln A, nats), ``normalised_entropy`` (by ln n, n the
    keys that a query may see), ``distance`` (Σ A·|q − k|, Vig & Belinkov 2019), ``signed_distance`` (Σ A·(q − k)),
    ``self``, ``previous`` and ``next`` (of the queries that have one), ``confidence`` (max A, Voita et al. 2019),
    ``first`` (the share of the first key, a sink where beyond 0.3: Gu et al. 2025), the share of each of ``sets``,
    ``offset`` and ``offset_share`` (which key − query holds the largest weight most often, and how often); and
    ``profile`` (L, H, bands): the share of the query itself and of each band of distances from ``EDGES`` on, without
    the first key.

    Args:
        sets: which keys belong to a set whose share is wanted, (M,) each.
        counting: which queries are averaged over (N,); None is all.
        per_query: keep the entropy, distance and confidence of each query as well.
    """

    scores = True

    def __init__(
        self,
        sets: Mapping[str, NDArray[np.bool_]] | None = None,
        counting: NDArray[np.bool_] | None = None,
        *,
        per_query: bool = False,
    ) -> None:
        self._sets = {name: torch.from_numpy(keys) for name, keys in (sets or {}).items()}
        self._counting = None if counting is None else torch.from_numpy(counting)
        self._per_query = per_query
        self._sums: dict[int, tuple[Tensor, Tensor]] = {}
        self._rows: dict[int, dict[str, Tensor]] = {}
        self._offsets: dict[int, Tensor] = {}
        self._shape = 0, 0

    def tile(self, tile: Tile) -> None:
        """Add the figures of the tile's queries."""
        (h, n, m), (heads, queries, keys) = tile.weights.shape, tile.shape
        place = slice(tile.head, tile.head + h), slice(tile.query, tile.query + n)
        figures = _figures(tile)
        for name, members in self._sets.items():
            figures[name] = tile.weights @ members[tile.key : tile.key + m].to(tile.weights)
        profile = _profile(tile, figures["self"])
        if tile.layer not in self._sums:
            self._shape = queries, keys
            self._figures = tuple(figures)
            self._sums[tile.layer] = (
                profile.new_zeros(heads, len(figures)),
                profile.new_zeros(heads, len(EDGES) + 1),
            )
            self._offsets[tile.layer] = torch.zeros(heads, queries, dtype=torch.int32, device=profile.device)
            if self._per_query:
                self._rows[tile.layer] = {name: tile.weights.new_zeros(heads, queries) for name in _PER_QUERY}
        rows = torch.stack([figures[name].to(profile) for name in self._figures], dim=-1)  # (h, n, figures)
        if self._counting is not None:
            counting = self._counting[place[1]].to(rows)[:, None]
            rows, profile = rows * counting, profile * counting
        for total, part in zip(self._sums[tile.layer], (rows, profile), strict=True):
            total[place[0]] += part.sum(1)
        at = torch.arange(tile.query, tile.query + n, device=profile.device)
        self._offsets[tile.layer][place] = (strongest_key(tile) + tile.key - at).int()
        for name, kept in self._rows.get(tile.layer, {}).items():
            kept[place] = figures[name].to(kept)

    @property
    def figures(self) -> dict[str, NDArray[np.float64]]:
        """The figures of all heads by name."""
        queries, keys = self._shape
        counting = torch.ones(queries, dtype=torch.bool) if self._counting is None else self._counting
        places = torch.arange(queries)[counting]
        neighbours = {"previous": -1, "self": 0, "next": 1}
        counts = {name: int(((places + at >= 0) & (places + at < keys)).sum()) for name, at in neighbours.items()}
        sums, profiles = (torch.stack([self._sums[n][i] for n in self.layers()]).cpu().numpy() for i in range(2))
        found = {name: sums[..., i] / max(1, counts.get(name, len(places))) for i, name in enumerate(self._figures)}
        offsets, shares = zip(*(_commonest(self._offsets[n].cpu()[:, counting]) for n in self.layers()), strict=True)
        return found | {
            "offset": np.stack(offsets),
            "offset_share": np.stack(shares),
            "profile": profiles / max(1, len(places)),
        }

    def queries(self, layer: int) -> dict[str, Tensor]:
        """The entropy, distance and confidence of each query of a layer, (H, N), where they were asked for."""
        return self._rows[layer]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))


_PER_QUERY = ("entropy", "distance", "confidence")


def _commonest(offsets: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each head's ``offsets`` (H, n) the one that occurs most often, and the share of queries that have it."""
    found = [np.unique(head, return_counts=True) for head in offsets.numpy()]
    best = [
        (values[counts.argmax()], counts.max() / counts.sum()) if len(values) else (0, 0) for values, counts in found
    ]
    offset, share = np.array(best, np.float64).T
    return offset, share


def _figures(tile: Tile) -> dict[str, Tensor]:
    """The figures of each query, (h, n)."""
    weights, at = tile.weights, tile.query - tile.key
    n, m = weights.shape[1:]
    # Places are counted from the first query, so that what is near is not lost among large numbers.
    places = torch.arange(-at, m - at, dtype=weights.dtype, device=weights.device)
    queries = torch.arange(n, device=weights.device)
    surprises = _surprises(*tile.shape[1:], tile.reach, weights.device)
    signed = queries * tile.sums.sum(-1) - weights @ places
    return {
        "entropy": tile.entropy,
        "normalised_entropy": tile.entropy * surprises[tile.query : tile.query + n],
        "distance": signed + 2 * _ahead(tile) if tile.reach.ahead != 0 else signed,
        "signed_distance": signed,
        "self": _diagonal(weights, at),
        "previous": _diagonal(weights, at - 1),
        "next": _diagonal(weights, at + 1),
        "confidence": tile.peaks.amax(-1),
        "first": weights[..., 0] if tile.key == 0 else torch.zeros_like(signed),
    }


def _ahead(tile: Tile) -> Tensor:
    """Σ A · (k − q) over the keys behind each query, (h, n)."""
    weights, at = tile.weights, tile.query - tile.key
    n, m = weights.shape[1:]
    left = min(max(0, at + 1), m)
    columns = torch.arange(left, m, device=weights.device) - at
    # All rows see the keys behind the last query at least as far as it does.
    edge = min(max(left, at + n), m) - left
    near = columns[:edge] - torch.arange(n, device=weights.device)[:, None]
    total = (weights[..., left : left + edge] * near.clamp(min=0)).sum(-1)
    far = weights[..., left + edge :]
    rows = torch.arange(n, device=weights.device)
    return total + far @ columns[edge:].to(weights) - rows * far.sum(-1)


def _profile(tile: Tile, itself: Tensor) -> Tensor:
    """The share of the query itself and of each band of distances, without the first key, (h, n, 1 + bands)."""
    weights, at = tile.weights, tile.query - tile.key
    h, n, m = weights.shape
    before = functional.pad(tile.sums.to(wide(weights)).cumsum(-1), (1, 0))  # (h, n, b + 1): in the blocks before each
    beyond = []  # what lies at each edge and beyond, on both sides
    for edge in EDGES:
        total = before.new_zeros(h, n)
        right = min(m, at + n - edge)
        if right > 0:
            block = max(0, at - edge + 1) // BLOCK
            seen = _triangle(n, right - block * BLOCK, at - edge - block * BLOCK, weights.dtype, weights.device)
            total = before[..., block] + (weights[..., block * BLOCK : right] * seen).sum(-1)
        left = max(0, at + edge)
        if left < m and tile.reach.ahead != 0:
            block = min(-(-max(0, at + n - 1 + edge) // BLOCK), tile.sums.shape[-1])
            stop = min(m, block * BLOCK)
            seen = 1 - _triangle(n, stop - left, at + edge - 1 - left, weights.dtype, weights.device)
            total = total + before[..., -1] - before[..., block] + (weights[..., left:stop] * seen).sum(-1)
        beyond.append(total)
    bands = torch.stack([*beyond, torch.zeros_like(beyond[0])], dim=-1)
    profile = torch.cat((itself[..., None].to(bands), bands[..., :-1] - bands[..., 1:]), dim=-1)
    if tile.key == 0:
        edges = torch.tensor(EDGES, device=weights.device)
        band = torch.bucketize(torch.arange(tile.query, tile.query + n, device=weights.device), edges, right=True)
        profile.scatter_add_(-1, band.expand(h, n)[..., None], -weights[..., :1].to(profile))
    return profile.clamp_(min=0)


@lru_cache(maxsize=64)
def _triangle(rows: int, columns: int, last: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 up to the column ``last`` + row, 0 beyond, (rows, columns); shared by the tiles of all layers."""
    return torch.ones(rows, columns, dtype=dtype, device=device).tril_(last)


@lru_cache(maxsize=4)
def _surprises(queries: int, keys: int, reach: Reach, device: torch.device) -> Tensor:
    """1 / ln n of each query, (N,), where n is how many keys it may see; 0 where that is one."""
    at = torch.arange(queries, device=device)
    last = torch.full_like(at, keys - 1)
    high = last if reach.ahead is None else torch.minimum(at + reach.ahead, last)
    seen = high - (0 if reach.behind is None else (at - reach.behind).clamp(min=0)) + 1
    return torch.where(seen > 1, 1 / seen.to(wide(seen)).log(), 0)


def _diagonal(weights: Tensor, offset: int) -> Tensor:
    """The weight in the column of each row's number + ``offset``, (h, n); zero where there is none."""
    h, n, m = weights.shape
    found = weights.new_zeros(h, n)
    first, last = max(0, -offset), min(n, m - offset)
    if first < last:
        found[:, first:last] = weights.diagonal(offset, 1, 2)
    return found


def wide(like: Tensor) -> torch.dtype:
    """The type in which sums of many weights are kept: float64, where the device has it."""
    return torch.float32 if like.device.type == "mps" else torch.float64


class Received(Observer):
    """Keeps what each key receives: the sum of the weights that all queries give it, L·H·M numbers.

    ``passages`` are the first keys of passages of one text; then what the queries of a passage give to keys of the same
    passage is left out: what remains comes from the others.
    """

    def __init__(self, passages: Sequence[int] = ()) -> None:
        self._passages = tuple(passages)
        self._sums: dict[int, Tensor] = {}

    def tile(self, tile: Tile) -> None:
        """Add what the tile's queries give."""
        heads, queries, keys = tile.shape
        h, n, m = tile.weights.shape
        if tile.layer not in self._sums:
            self._sums[tile.layer] = torch.zeros(heads, keys, dtype=wide(tile.weights), device=tile.weights.device)
        received = self._sums[tile.layer][tile.head : tile.head + h, tile.key : tile.key + m]
        received += tile.weights.sum(1)
        for start, stop in pairwise((*self._passages, queries)) if self._passages else ():
            top, bottom = max(start, tile.query) - tile.query, min(stop, tile.query + n) - tile.query
            left, right = max(start, tile.key) - tile.key, min(stop, tile.key + m) - tile.key
            if top < bottom and left < right:
                received[:, left:right] -= tile.weights[:, top:bottom, left:right].sum(1)

    def layer(self, number: int) -> Tensor:
        """What the keys of one layer receive, (H, M)."""
        return self._sums[number]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))
