"""The attention kernel: softmax(Q Kᵀ · scale + bias) V, exactly, in tiles of query rows.

The shape letters, here and everywhere: ``B`` documents, ``T`` packed tokens, ``L`` layers, ``H`` query heads,
``G`` key-value heads, ``N`` queries, ``M`` keys, ``D`` head size, ``C`` hidden size. ``n`` and ``m`` are the
queries and keys of one tile.

The weights of a tile live until its observers have seen them, and are written over then; no array of all H·N·M weights
is ever made here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import torch
from torch import Tensor

from attnviz.model.spec import EVERYTHING, Reach
from attnviz.record import Kind as Kind

Bias = Callable[[Tensor, Tensor], Tensor]
"""(query positions (n,), key positions (m,)) → what is added to the scores, broadcastable to (H, n, m)."""

# 4 million weights a tile: 16 MiB in float32, small beside any model and large enough to keep the cores busy.
TILE = 1 << 22
# In a causal layer a tile of few queries computes few keys in vain; of fewer than these the products are slow.
CAUSAL_ROWS = 64
BLOCK = 64
"""How many keys a block has: what observers share of a tile (``Tile.peaks``, ``Tile.sums``) is kept by the block."""


@dataclass(frozen=True, eq=False)
class Tile:
    """Weights as observers see them: of the heads, queries and keys from ``head``, ``query`` and ``key`` on.

    ``weights`` is (h, n, m); keys outside the tile have weight zero. ``shape`` is the (H, N, M) of the layer's map
    of that ``kind``. ``scores`` are what the weights are the softmax of, where an observer asked for them; both belong
    to the kernel, which writes them over when all observers have seen them.
    """

    layer: int
    query: int
    key: int
    weights: Tensor
    shape: tuple[int, int, int]
    kind: Kind = "self"
    head: int = 0
    reach: Reach = EVERYTHING
    scores: Tensor | None = None

    @cached_property
    def peaks(self) -> Tensor:
        """The largest weight of each ``BLOCK`` keys from ``key`` on, (h, n, b); the last block may have fewer keys."""
        return torch.cat([part.amax(-1) for part in self._blocks], dim=-1)

    @cached_property
    def sums(self) -> Tensor:
        """The sum of the weights of each block, (h, n, b)."""
        return torch.cat([part.sum(-1) for part in self._blocks], dim=-1)

    @cached_property
    def entropy(self) -> Tensor:
        """−Σ A ln A of each query in nats, (h, n). Where there are ``scores`` it uses them up: no logarithm is taken.

        With s* the largest score and A* its weight, ln A = ln A* + s − s*, so the entropy is −ln A*·ΣA − ΣA·(s − s*).
        """
        if self.scores is None:
            entropy: Tensor = torch.special.entr(self.weights).sum(-1)
            return entropy
        mass = self.sums.sum(-1)
        below = self.scores.sub_(self.scores.amax(-1, keepdim=True))
        # A sink may leave no weight at all, which then has no logarithm.
        most: Tensor = self.peaks.amax(-1).clamp(min=torch.finfo(self.weights.dtype).tiny)
        return -most.log() * mass - torch.mul(self.weights, below, out=below).sum(-1)

    @property
    def _blocks(self) -> list[Tensor]:
        """The weights in whole blocks, (h, n, b, BLOCK), and those that are left over, (h, n, 1, m % BLOCK)."""
        whole = self.weights.shape[-1] // BLOCK * BLOCK
        parts = [self.weights[..., :whole].view(*self.weights.shape[:-1], -1, BLOCK)] if whole else []
        return parts if whole == self.weights.shape[-1] else [*parts, self.weights[..., None, whole:]]


class Observer:
    """Sees the weights and hidden states that pass by; a subclass keeps what it wants of them.

    ``scores`` says whether it wants ``Tile.scores``.
    """

    scores = False

    def tile(self, tile: Tile) -> None:
        """See one tile of weights."""

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:
        """See the hidden states (T, C) that enter ``layer``, or leave the last one (``layer`` = L)."""


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    reach: Reach = EVERYTHING,
    bias: Bias | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
    first: int = 0,
    layer: int = 0,
    kind: Kind = "self",
    observers: Sequence[Observer] = (),
    rows: int | None = None,
) -> Tensor:
    """Attend from ``q`` (H, N, D) to ``k`` (G, M, D) and ``v`` (G, M, E) and return the context vectors (H, N, E).

    Head h reads key-value head h·G // H (Ainslie et al. 2023). Scores and weights are float32 at least, whatever
    the inputs. Each tile of ``rows`` queries (None: as many as fit ``TILE``) is shown to the observers.

    Args:
        first: the position of the first query; keys begin at 0.
        sinks: (H,), the score of a key without a value that takes its share of each softmax; then the weights of a
            query sum to less than 1 (gpt-oss).
    """
    (heads, queries, _), (groups, keys, _) = q.shape, k.shape
    rows, together = _cut(heads, groups, queries, keys, reach, rows, whole=bias is not None)
    exact = torch.promote_types(q.dtype, torch.float32)
    q, k = q.to(exact), k.to(exact)
    # A power of two can be multiplied into the queries, of which there are fewer numbers: no bit is lost.
    early = math.frexp(scale)[0] == 0.5
    if early:
        q = q * scale
    context = v.new_empty((heads, queries, v.shape[-1]))
    # All tiles are computed in one place: new memory for each costs more than its numbers.
    share = heads // groups
    places = [q.new_empty(share * together * min(rows, queries) * keys)]
    if any(observer.scores for observer in observers):
        places.append(torch.empty_like(places[0]))
    positions = torch.arange(max(first + queries, keys), device=q.device)
    # The tiles of some heads come one after another, so that their keys and values stay in the cache.
    for group, start in product(range(0, groups, together), range(0, queries, rows)):
        stop, last = min(start + rows, queries), min(group + together, groups)
        head, h = group * share, (last - group) * share
        # Keys that no query of the tile sees are not computed; blocks of keys begin at the same places in all tiles.
        low = 0 if reach.behind is None else max(0, first + start - reach.behind) // BLOCK * BLOCK
        high = keys if reach.ahead is None else min(keys, first + stop + reach.ahead)
        at, to = positions[first + start : first + stop], positions[low:high]
        # (h, n, D) → (g, h/g·n, D): the queries of the heads that share a key head stand together.
        grouped = q[head : head + h, start:stop].reshape(last - group, -1, q.shape[-1])
        kept = [place[: h * (stop - start) * (high - low)].view(h, stop - start, -1) for place in places]
        scores = kept[0]
        torch.bmm(grouped, k[group:last, low:high].transpose(1, 2), out=scores.view(last - group, -1, high - low))
        if not early:
            scores.mul_(scale)
        if softcap is not None:
            scores.div_(softcap).tanh_().mul_(softcap)
        if bias is not None:
            scores += bias(at, to)
        _hide(scores, at, to, reach, first + start, low)
        weights = _softmax(scores, None if sinks is None else sinks[head : head + h], kept[-1])
        if bias is not None and len(kept) > 1:  # it may hide keys by −∞, or ones that are hidden already
            scores.clamp_(min=_least(scores.dtype))
        shape = heads, queries, keys
        tile = Tile(layer, start, low, weights, shape, kind, head, reach, scores if len(kept) > 1 else None)
        for observer in observers:
            observer.tile(tile)
        mixed = torch.bmm(weights.to(v.dtype).view(last - group, -1, high - low), v[group:last, low:high])
        context[head : head + h, start:stop] = mixed.view(h, stop - start, -1)
    return context


def _cut(
    heads: int, groups: int, queries: int, keys: int, reach: Reach, rows: int | None, *, whole: bool
) -> tuple[int, int]:
    """How many queries, and how many key-value heads, a tile has; all heads where it must be ``whole``."""
    share = heads // groups
    if rows is None:
        rows = max(1, TILE // ((heads if whole else share) * keys))
        rows = rows if reach.ahead is None else min(rows, CAUSAL_ROWS)
    return rows, groups if whole else max(1, min(groups, TILE // (share * min(rows, queries) * keys)))


def _softmax(scores: Tensor, sinks: Tensor | None, place: Tensor) -> Tensor:
    """The softmax over the keys of ``scores`` (h, n, m), in ``place``; one of its terms is the sink's if there are."""
    if sinks is None:
        return torch.softmax(scores, dim=-1, out=place)
    column = sinks.to(scores)[:, None, None].expand(-1, scores.shape[1], 1)
    return place.copy_(torch.softmax(torch.cat((scores, column), dim=-1), dim=-1)[..., :-1])


def _hide(scores: Tensor, at: Tensor, to: Tensor, reach: Reach, query: int, key: int) -> None:
    """Take from the ``scores`` (h, n, m) what the queries do not see; ``query`` and ``key`` are the first positions.

    Only where the tile's reach ends are there keys that some of its queries see and others do not.
    """
    count = len(at)
    if reach.ahead is not None:
        edge = min(max(0, query + reach.ahead + 1 - key), len(to))
        scores[..., edge:] += _beyond(count, len(to) - edge, key + edge - query - reach.ahead, scores.dtype, at.device)
    if reach.behind is not None:
        edge = max(0, query + count - 1 - reach.behind - key)
        scores[..., :edge].masked_fill_(to[:edge] < at[:, None] - reach.behind, _least(scores.dtype))


@lru_cache(maxsize=8)
def _beyond(queries: int, keys: int, first: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The least number where key + ``first`` > query, else 0, (queries, keys): faster to add than to fill in."""
    return torch.full((queries, keys), _least(dtype), dtype=dtype, device=device).triu_(1 - first)


def _least(dtype: torch.dtype) -> float:
    """What stands for −∞: its weight is exactly 0, and times 0 it is no NaN, as observers need it."""
    return torch.finfo(dtype).min
