"""Observers that count: figures of each head, and what each key receives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnviz.attention.observers.figures import EDGES, FIGURES, measure, wide
from attnviz.attention.observers.links import strongest_key
from attnviz.attention.tile import BLOCK, Observer, Tile


class HeadStats(Observer):
    """Figures of each head, averaged over the queries: the definitions are those of Clark et al. 2019 and others.

    ``figures`` has for each name an array (L, H): ``entropy`` (−Σ A ln A, nats), ``normalised_entropy`` (by ln n, n the
    keys that a query may see), ``distance`` (Σ A·|q − k|, Vig & Belinkov 2019), ``signed_distance`` (Σ A·(q − k)),
    ``self``, ``previous`` and ``next`` (of the queries that have one), ``largest`` (max A),
    ``first`` (the share of the first key, a sink where beyond 0.3: Gu et al. 2025), the share of each of ``sets``,
    ``offset`` and ``offset_share`` (which key − query holds the largest weight most often, and how often); and
    ``profile`` (L, H, bands): the share of the query itself and of each band of distances from ``EDGES`` on, without
    the first key.

    Args:
        sets: which keys belong to a set whose share is wanted, (M,) each.
        counting: which queries are averaged over (N,); None is all.
        telling: of which queries the offsets are counted (N,); None is those that are averaged over.
        per_query: keep the entropy, distance and largest weight of each query as well.
    """

    shares = True

    def __init__(
        self,
        sets: Mapping[str, NDArray[np.bool_]] | None = None,
        counting: NDArray[np.bool_] | None = None,
        *,
        telling: NDArray[np.bool_] | None = None,
        per_query: bool = False,
    ) -> None:
        self._sets = {name: torch.from_numpy(keys) for name, keys in (sets or {}).items()}
        self._counting = None if counting is None else torch.from_numpy(counting)
        self._telling = self._counting if telling is None else torch.from_numpy(telling)
        self._per_query = per_query
        self._sums: dict[int, Tensor] = {}
        self._rows: dict[int, dict[str, Tensor]] = {}
        self._offsets: dict[int, Tensor] = {}
        self._shape = 0, 0

    def tile(self, tile: Tile) -> None:
        """Add the figures of the tile's queries."""
        (h, n, m), (heads, queries, keys) = tile.weights.shape, tile.shape
        place = slice(tile.head, tile.head + h), slice(tile.query, tile.query + n)
        figures, bands = measure(tile)
        shares = [tile.weights @ keys[tile.key : tile.key + m].to(tile.weights) for keys in self._sets.values()]
        rows = torch.cat((figures, bands, *(share[..., None] for share in shares)), dim=-1)
        if tile.layer not in self._sums:
            self._shape = queries, keys
            self._sums[tile.layer] = rows.new_zeros(heads, rows.shape[-1])
            self._offsets[tile.layer] = torch.zeros(heads, queries, dtype=torch.int32, device=rows.device)
            if self._per_query:
                self._rows[tile.layer] = {name: tile.weights.new_zeros(heads, queries) for name in _PER_QUERY}
        for name, kept in self._rows.get(tile.layer, {}).items():
            kept[place] = figures[..., FIGURES.index(name)].to(kept)
        if self._counting is not None:
            rows *= self._counting[place[1]].to(rows)[:, None]
        self._sums[tile.layer][place[0]] += rows.sum(1)
        at = torch.arange(tile.own, tile.own + n, device=rows.device)
        self._offsets[tile.layer][place] = (strongest_key(tile) - at).int()

    @property
    def figures(self) -> dict[str, NDArray[np.float64]]:
        """The figures of all heads by name."""
        return merged([self])

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers are that are summed, in their order; the bands of the profile have no names."""
        return (*FIGURES, *("",) * (1 + len(EDGES)), *self._sets)

    def totals(self) -> tuple[NDArray[np.float64], NDArray[np.float64], list[Tensor]]:
        """The sums of all numbers, (L, H, names), of how many queries each is one, and each layer's offsets (H, n)."""
        queries, keys = self._shape
        counting = torch.ones(queries, dtype=torch.bool) if self._counting is None else self._counting
        telling = counting if self._telling is None else self._telling
        places = torch.arange(queries)[counting]
        neighbours = {"previous": -1, "self": 0, "next": 1}
        counts = {name: int(((places + at >= 0) & (places + at < keys)).sum()) for name, at in neighbours.items()}
        sums = torch.stack([self._sums[number] for number in self.layers()]).cpu().numpy()
        offsets = [self._offsets[number].cpu()[:, telling] for number in self.layers()]
        return sums, np.array([counts.get(name, len(places)) for name in self.names], np.float64), offsets

    def queries(self, layer: int) -> dict[str, Tensor]:
        """The entropy, distance and largest weight of each query of a layer, (H, N), where they were asked for."""
        return self._rows[layer]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))


_PER_QUERY = ("entropy", "distance", "largest")


def merged(parts: Sequence[HeadStats]) -> dict[str, NDArray[np.float64]]:
    """The figures of several runs of one model, averaged over the queries of all; each part has seen one run."""
    sums, counts, offsets = zip(*(part.totals() for part in parts), strict=True)
    means = sum(sums) / np.maximum(sum(counts), 1)
    offset, share = zip(*(_commonest(torch.cat(layer, dim=1)) for layer in zip(*offsets, strict=True)), strict=True)
    found = {name: means[..., i] for i, name in enumerate(parts[0].names) if name}
    profile = means[..., len(FIGURES) : len(FIGURES) + 1 + len(EDGES)]
    return found | {"offset": np.stack(offset), "offset_share": np.stack(share), "profile": profile}


def _commonest(offsets: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each head's ``offsets`` (H, n) the one that occurs most often, and the share of queries that have it."""
    found = [np.unique(head, return_counts=True) for head in offsets.numpy()]
    best = [
        (values[counts.argmax()], counts.max() / counts.sum()) if len(values) else (0, 0) for values, counts in found
    ]
    offset, share = np.array(best, np.float64).T
    return offset, share


class Received(Observer):
    """Keeps what each key receives: the sum of the weights that all queries give it, L·H·M numbers.

    ``passages`` are the first keys of passages of one text; then it also keeps what comes from queries of other
    passages than the key's own. What stands before the first passage is in none.
    """

    shares = True

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
        received[0] += tile.received
        for start, stop in pairwise((0, *self._passages, queries)) if self._passages else ():
            top, bottom = max(start, tile.query) - tile.query, min(stop, tile.query + n) - tile.query
            if top < bottom:
                given = tile.received if bottom - top == n else tile.weights[:, top:bottom].sum(1)
                own = (start, stop) if start >= self._passages[0] else (0, 0)
                left, right = (min(max(0, edge - tile.key), m) for edge in own)
                received[1, :, :left] += given[:, :left]
                received[1, :, right:] += given[:, right:]

    def layer(self, number: int) -> Tensor:
        """What the keys of one layer receive, (H, M); from other passages only, where there are passages."""
        return self._sums[number][-1]

    def total(self, number: int) -> Tensor:
        """What the keys of one layer receive from all queries, (H, M)."""
        return self._sums[number][0]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))


class Confidence(Observer):
    """Sums the largest weight of each query, where what stands from ``stop`` on neither looks nor is looked at.

    That is the confidence of Voita et al. 2019, who leave the end-of-sequence token out. ``counting`` (N,) says which
    queries are summed over; None is all before ``stop``. Memory: L·H numbers.
    """

    shares = True

    def __init__(self, stop: int, counting: NDArray[np.bool_] | None = None) -> None:
        self._stop = stop
        self._counting = torch.ones(stop, dtype=torch.bool) if counting is None else torch.from_numpy(counting[:stop])
        self._sums: dict[int, Tensor] = {}

    @property
    def count(self) -> int:
        """How many queries count."""
        return int(self._counting.sum())

    def tile(self, tile: Tile) -> None:
        """Add the largest weights of the tile's queries."""
        weights = tile.weights
        h, n, m = weights.shape
        if tile.layer not in self._sums:
            self._sums[tile.layer] = torch.zeros(tile.shape[0], dtype=wide(weights), device=weights.device)
        counting = self._counting[tile.query : tile.query + n].to(weights.device)
        keys = min(max(0, self._stop - tile.key), m)
        if not len(counting) or not keys:
            return
        # Blocks that end before ``stop`` have their largest weights already; of the one that is cut they are looked at.
        blocks = tile.peaks.shape[-1] if keys == m else keys // BLOCK
        rest = m if keys == m else blocks * BLOCK
        parts = tile.peaks[..., :blocks], weights[..., rest:keys]
        largest = torch.stack([part.amax(-1) for part in parts if part.shape[-1]]).amax(0)[:, : len(counting)]
        self._sums[tile.layer][tile.head : tile.head + h] += (largest * counting).sum(-1, dtype=wide(weights))

    def layer(self, number: int) -> Tensor:
        """The sum of one layer's queries, (H,)."""
        return self._sums[number]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))
