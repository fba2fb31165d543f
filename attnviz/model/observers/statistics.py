"""Observers that count: figures of each head, and what each key receives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from attnviz.model.kernel import BLOCK, Observer, Tile
from attnviz.model.observers.links import largest

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
        telling: of which queries the offsets are counted (N,); None is those that are averaged over.
        per_query: keep the entropy, distance and confidence of each query as well.
    """

    scores = True

    def __init__(
        self,
        sets: Mapping[str, NDArray[np.bool_]] | None = None,
        counting: NDArray[np.bool_] | None = None,
        *,
        telling: NDArray[np.bool_] | None = None,
        per_query: bool = False,
    ) -> None:
        self._names = tuple(sets or ())
        self._sets = torch.from_numpy(np.stack(list(sets.values()), axis=-1)).float() if sets else None  # (M, sets)
        self._counting = None if counting is None else torch.from_numpy(counting)
        self._telling = self._counting if telling is None else torch.from_numpy(telling)
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
        if self._sets is not None:
            shares = tile.weights @ self._sets[tile.key : tile.key + m].to(tile.weights)  # (h, n, sets)
            figures |= dict(zip(self._names, shares.unbind(-1), strict=True))
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
        self._offsets[tile.layer][place] = (largest(tile, 1)[1][..., 0] + tile.key - at).int()
        for name, kept in self._rows.get(tile.layer, {}).items():
            kept[place] = figures[name].to(kept)

    @property
    def figures(self) -> dict[str, NDArray[np.float64]]:
        """The figures of all heads by name."""
        return merged([self])

    def _totals(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], list[Tensor]]:
        """The sums of the figures and of the profile, (L, H, …), of how many queries, and each layer's offsets (H, n).

        The counts are one for each figure and, at the end, that of all queries.
        """
        queries, keys = self._shape
        counting = torch.ones(queries, dtype=torch.bool) if self._counting is None else self._counting
        telling = counting if self._telling is None else self._telling
        places = torch.arange(queries)[counting]
        counts = {"previous": int((places > 0).sum()), "next": int((places < keys - 1).sum())}
        sums, profiles = (torch.stack([self._sums[n][i] for n in self.layers()]).cpu().numpy() for i in range(2))
        offsets = [self._offsets[n].cpu()[:, telling] for n in self.layers()]
        each = [counts.get(name, len(places)) for name in self._figures]
        return sums, profiles, np.array([*each, len(places)], np.float64), offsets

    def queries(self, layer: int) -> dict[str, Tensor]:
        """The entropy, distance and confidence of each query of a layer, (H, N), where they were asked for."""
        return self._rows[layer]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))


_PER_QUERY = ("entropy", "distance", "confidence")


def merged(parts: Sequence[HeadStats]) -> dict[str, NDArray[np.float64]]:
    """The figures of several runs of one model, averaged over the queries of all; each has seen its run."""
    sums, profiles, counts, offsets = zip(*(part._totals() for part in parts), strict=True)
    number = np.maximum(sum(counts), 1)
    means = sum(sums) / number[:-1]
    commonest = [_commonest(torch.cat(layer, dim=1)) for layer in zip(*offsets, strict=True)]
    found = {name: means[..., i] for i, name in enumerate(parts[0]._figures)}
    offset, share = zip(*commonest, strict=True)
    return found | {"offset": np.stack(offset), "offset_share": np.stack(share), "profile": sum(profiles) / number[-1]}


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
    weights, queries = tile.weights, _columns(tile)
    n, m = weights.shape[1:]
    at = tile.query - tile.key
    sums = tile.sums.to(
        wide(weights)
    )  # (h, n, b, 2): far keys count many times, and their sums shall keep the near ones
    starts = torch.arange(sums.shape[2], device=weights.device) * BLOCK
    # Block by block: all weights times the query's place, less all places, would lose what is near.
    signed = (sums[..., 0] * (queries[:, None] - starts)).sum(-1) - sums[..., 1].sum(-1)
    ahead = torch.zeros_like(signed)
    if at + 1 < m and tile.reach.ahead != 0:  # keys behind the queries count twice: once negative, so twice back
        left, block = max(0, at) // BLOCK * BLOCK, min(-(-max(0, at + n) // BLOCK), sums.shape[2])
        columns = torch.arange(left, min(m, block * BLOCK), device=weights.device)
        near = weights[..., left : block * BLOCK] * (columns - queries[:, None]).clamp(min=0)
        far = sums[:, :, block:]
        ahead = near.sum(-1) + (far[..., 0] * (starts[block:] - queries[:, None])).sum(-1) + far[..., 1].sum(-1)
    seen = _seen(tile)
    first = weights[..., 0] if tile.key == 0 else torch.zeros_like(weights[..., 0])
    return {
        "entropy": tile.entropy,
        "normalised_entropy": torch.where(seen > 1, tile.entropy / seen.log(), 0),
        "distance": signed + 2 * ahead,
        "signed_distance": signed,
        "self": _diagonal(weights, at),
        "previous": _diagonal(weights, at - 1),
        "next": _diagonal(weights, at + 1),
        "confidence": tile.peaks.amax(-1),
        "first": first,
    }


def _profile(tile: Tile, itself: Tensor) -> Tensor:
    """The share of the query itself and of each band of distances, without the first key, (h, n, 1 + bands)."""
    weights, queries = tile.weights, _columns(tile)
    h, n, m = weights.shape
    sums = tile.sums[..., 0].to(wide(weights))
    before = functional.pad(sums.cumsum(-1), (1, 0))  # (h, n, b + 1): what is in the blocks before each
    at = tile.query - tile.key
    beyond = []  # what lies at each edge and beyond, on both sides
    for edge in EDGES:
        total = before.new_zeros(h, n)
        block, right = max(0, at - edge + 1) // BLOCK, min(m, at + n - edge)
        block = min(block, m // BLOCK)
        if right > 0:
            columns = torch.arange(block * BLOCK, max(right, block * BLOCK), device=weights.device)
            seen = weights[..., block * BLOCK : max(right, block * BLOCK)] * (columns <= queries[:, None] - edge)
            total += before[..., block] + seen.sum(-1)
        left, block = max(0, at + edge), min(-(-max(0, at + n - 1 + edge) // BLOCK), sums.shape[-1])
        if left < m and tile.reach.ahead != 0:
            columns = torch.arange(left, min(m, block * BLOCK), device=weights.device)
            seen = weights[..., left : block * BLOCK] * (columns >= queries[:, None] + edge)
            total += before[..., -1] - before[..., block] + seen.sum(-1)
        beyond.append(total)
    bands = torch.stack([*beyond, torch.zeros_like(beyond[0])], dim=-1)
    profile = torch.cat((itself[..., None].to(bands), (bands[..., :-1] - bands[..., 1:]).clamp_(min=0)), dim=-1)
    if tile.key == 0:
        edges = torch.tensor(EDGES, device=weights.device)
        band = torch.bucketize(torch.arange(tile.query, tile.query + n, device=weights.device), edges, right=True)
        profile.scatter_add_(-1, band.expand(h, n)[..., None], -weights[..., :1].to(profile))
    return profile.clamp_(min=0)


def _columns(tile: Tile) -> Tensor:
    """The column of the tile at which each query's own key stands, or would stand, (n,)."""
    return torch.arange(tile.weights.shape[1], device=tile.weights.device) + (tile.query - tile.key)


def _diagonal(weights: Tensor, offset: int) -> Tensor:
    """The weight in the column of each row's number + ``offset``, (h, n); zero where there is none."""
    h, n, m = weights.shape
    found = weights.new_zeros(h, n)
    first, last = max(0, -offset), min(n, m - offset)
    if first < last:
        found[:, first:last] = weights.diagonal(offset, 1, 2)
    return found


def _seen(tile: Tile) -> Tensor:
    """How many keys each query may see, (n,)."""
    at = torch.arange(tile.query, tile.query + tile.weights.shape[1], device=tile.weights.device)
    last = at.new_full((), tile.shape[2] - 1)
    high = last if tile.reach.ahead is None else torch.minimum(at + tile.reach.ahead, last)
    return high - (0 if tile.reach.behind is None else (at - tile.reach.behind).clamp(min=0)) + 1


def wide(like: Tensor) -> torch.dtype:
    """The type in which sums of many weights are kept: float64, where the device has it."""
    return torch.float32 if like.device.type == "mps" else torch.float64


class Received(Observer):
    """Keeps what each key receives: the sum of the weights that all queries give it, L·H·M numbers.

    ``passages`` are the first keys of passages of one text; then it also keeps what comes from queries of the key's own
    passage, so that this can be left out.
    """

    def __init__(self, passages: Sequence[int] = ()) -> None:
        self._passages = tuple(passages)
        self._sums: dict[int, Tensor] = {}

    def tile(self, tile: Tile) -> None:
        """Add what the tile's queries give."""
        heads, queries, keys = tile.shape
        h, n, m = tile.weights.shape
        if tile.layer not in self._sums:
            sums = torch.zeros(2, heads, keys, dtype=wide(tile.weights), device=tile.weights.device)
            self._sums[tile.layer] = sums if self._passages else sums[:1].clone()
        received = self._sums[tile.layer][:, tile.head : tile.head + h, tile.key : tile.key + m]
        received[0] += tile.weights.sum(1)
        for start, stop in pairwise((*self._passages, queries)) if self._passages else ():
            top, bottom = max(start, tile.query) - tile.query, min(stop, tile.query + n) - tile.query
            left, right = max(start, tile.key) - tile.key, min(stop, tile.key + m) - tile.key
            if top < bottom and left < right:
                received[1, :, left:right] += tile.weights[:, top:bottom, left:right].sum(1)

    def layer(self, number: int) -> Tensor:
        """What the keys of one layer receive, (H, M); from other passages only, where there are passages."""
        sums = self._sums[number]
        return sums[0] - sums[1] if self._passages else sums[0]

    def total(self, number: int) -> Tensor:
        """What the keys of one layer receive from all queries, (H, M)."""
        return self._sums[number][0]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))
