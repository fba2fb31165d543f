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
from functools import lru_cache

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


@dataclass(frozen=True, slots=True)
class Tile:
    """Weights as observers see them: the queries and keys from ``query`` and ``key`` on, of all H heads.

    ``weights`` is (H, n, m); keys outside the tile have weight zero. ``shape`` is the (H, N, M) of the layer's map
    of that ``kind``.
    """

    layer: int
    query: int
    key: int
    weights: Tensor
    shape: tuple[int, int, int]
    kind: Kind = "self"


class Observer:
    """Sees the weights and hidden states that pass by; a subclass keeps what it wants of them."""

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
    if rows is None:
        rows = max(1, TILE // (heads * keys))
        rows = rows if reach.ahead is None else min(rows, CAUSAL_ROWS)
    exact = torch.promote_types(q.dtype, torch.float32)
    q, k = q.to(exact), k.to(exact)
    # A power of two can be multiplied into the queries, of which there are fewer numbers: no bit is lost.
    early = math.frexp(scale)[0] == 0.5
    if early:
        q = q * scale
    context = v.new_empty((heads, queries, v.shape[-1]))
    # All tiles are computed in one place: new memory for each costs more than its numbers.
    place = q.new_empty(heads * min(rows, queries) * keys)
    positions = torch.arange(max(first + queries, keys), device=q.device)
    for start in range(0, queries, rows):
        stop = min(start + rows, queries)
        # Keys that no query of the tile sees are not computed.
        low = 0 if reach.behind is None else max(0, first + start - reach.behind)
        high = keys if reach.ahead is None else min(keys, first + stop + reach.ahead)
        at, to = positions[first + start : first + stop], positions[low:high]
        # (H, n, D) → (G, H/G·n, D): the queries of the heads that share a key head stand together.
        grouped = q[:, start:stop].reshape(groups, -1, q.shape[-1])
        scores = place[: heads * (stop - start) * (high - low)].view(groups, -1, high - low)  # (G, H/G·n, m)
        torch.bmm(grouped, k[:, low:high].transpose(1, 2), out=scores)
        scores = scores.view(heads, stop - start, high - low)
        if not early:
            scores.mul_(scale)
        if softcap is not None:
            scores = scores.div_(softcap).tanh_().mul_(softcap)
        if bias is not None:
            scores += bias(at, to)
        _hide(scores, at, to, reach, first + start, low)
        weights = _softmax(scores, sinks)
        for observer in observers:
            observer.tile(Tile(layer, start, low, weights, (heads, queries, keys), kind))
        mixed = torch.matmul(weights.to(v.dtype).view(groups, -1, high - low), v[:, low:high])
        context[:, start:stop] = mixed.view(heads, stop - start, -1)
    return context


def _softmax(scores: Tensor, sinks: Tensor | None) -> Tensor:
    """The softmax over the keys of ``scores`` (H, n, m), one of whose terms is the sink's where there are ``sinks``."""
    if sinks is None:
        return torch.softmax(scores, dim=-1, out=scores)
    column = sinks.to(scores)[:, None, None].expand(-1, scores.shape[1], 1)
    return torch.softmax(torch.cat((scores, column), dim=-1), dim=-1)[..., :-1].contiguous()


def _hide(scores: Tensor, at: Tensor, to: Tensor, reach: Reach, query: int, key: int) -> None:
    """Set the ``scores`` (H, n, m) of what the queries do not see to −∞; ``query`` and ``key`` are the first positions.

    Only where the tile's reach ends are there keys that some of its queries see and others do not.
    """
    count = len(at)
    if reach.ahead is not None:
        edge = min(max(0, query + reach.ahead + 1 - key), len(to))
        scores[..., edge:] += _beyond(count, len(to) - edge, key + edge - query - reach.ahead, scores.dtype, at.device)
    if reach.behind is not None:
        edge = max(0, query + count - 1 - reach.behind - key)
        scores[..., :edge].masked_fill_(to[:edge] < at[:, None] - reach.behind, -torch.inf)


@lru_cache(maxsize=8)
def _beyond(queries: int, keys: int, first: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """−∞ where key + ``first`` > query, else 0, (queries, keys): added faster than filled in, and shared by tiles."""
    return torch.full((queries, keys), -torch.inf, dtype=dtype, device=device).triu_(1 - first)
