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
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from types import ModuleType

import torch
from torch import Tensor

from attnviz.attention.block_sizes import TILE
from attnviz.attention.pipeline import in_order
from attnviz.attention.tile import BLOCK, compiled
from attnviz.attention.tile import Kind as Kind
from attnviz.attention.tile import Observer as Observer
from attnviz.attention.tile import Tile as Tile
from attnviz.attention.window import EVERYTHING, KeyWindow

Bias = Callable[[Tensor, Tensor], Tensor]
"""(query positions (n,), key positions (m,)) → what is added to the scores, broadcastable to (H, n, m)."""

# In a causal layer a tile of few queries computes few keys in vain; of fewer than these the products are slow.
# Observers take as long for a tile of few as for one of many: for them it has twice as many.
CAUSAL_ROWS = 64
# So many keys at once stay in a core's own cache while they are multiplied with the queries of a tile.
COLUMNS = 1024
# Of fewer weights a layer's tiles are not spread over threads.
PARALLEL = 1 << 23


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    window: KeyWindow = EVERYTHING,
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
    shares = any(observer.shares for observer in observers)
    most = None if window.right is None else CAUSAL_ROWS * (1 + shares)
    rows, together = _cut(heads, groups, queries, keys, rows, most, bias is not None)
    exact = torch.promote_types(q.dtype, torch.float32)
    q, k = q.to(exact), k.to(exact)
    # A power of two can be multiplied into the queries, of which there are fewer numbers: no bit is lost.
    early = math.frexp(scale)[0] == 0.5
    if early:
        q, scale = q * scale, 1.0
    loops = compiled(q[:, :1].contiguous()) if shares else None
    # The loops have no NaN: of a damaged model they would make weights that look sound.
    loops = loops if loops and math.isfinite(q.sum() + k.sum()) else None
    keeps_scores = shares and not loops
    positions = torch.arange(max(first + queries, keys), device=q.device)
    context = v.new_empty((heads, queries, v.shape[-1]))
    given = (q, k, v, scale, window, bias, softcap, sinks, first, layer, kind)
    call = _Call(*given, loops, keeps_scores, positions, context)
    # The tiles of some heads come one after another, so that their keys and values stay in the cache.
    cuts = [
        (group, min(group + together, groups), start, min(start + rows, queries))
        for group, start in product(range(0, groups, together), range(0, queries, rows))
    ]
    # Tiles are computed in few places: new memory for each costs more than its numbers.
    size = heads // groups * together * min(rows, queries) * keys
    workers = torch.get_num_threads() if loops and len(cuts) > 1 and heads * queries * keys > PARALLEL else 1
    places = [q.new_empty(size * (1 + keeps_scores)) for _ in range(workers + 2 if workers > 1 else 1)]
    for tile in in_order(call.tile, cuts, places, workers):
        for observer in observers:
            observer.tile(tile)
    return context


@dataclass(frozen=True, eq=False)
class _Call:
    """One call of ``attend``: what all tiles have in common; they fill in the ``context`` (H, N, E)."""

    q: Tensor
    k: Tensor
    v: Tensor
    scale: float
    window: KeyWindow
    bias: Bias | None
    softcap: float | None
    sinks: Tensor | None
    first: int
    layer: int
    kind: Kind
    loops: ModuleType | None
    keeps_scores: bool
    positions: Tensor
    context: Tensor

    def tile(self, cut: tuple[int, int, int, int], place: Tensor) -> Tile:
        """Compute the weights of the key-value heads and queries of ``cut`` in ``place``, and their context."""
        group, last, start, stop = cut
        (heads, queries, _), (groups, keys, _) = self.q.shape, self.k.shape
        head, h, n = group * heads // groups, (last - group) * heads // groups, stop - start
        begin, window = self.first + start, self.window
        # Keys that no query of the tile sees are not computed; blocks of keys begin at the same places in all tiles.
        low = 0 if window.left is None else max(0, begin - window.left) // BLOCK * BLOCK
        high = keys if window.right is None else min(keys, self.first + stop + window.right)
        m = high - low
        # (h, n, D) → (g, h/g·n, D): the queries of the heads that share a key head stand together.
        grouped = self.q[head : head + h, start:stop].reshape(last - group, -1, self.q.shape[-1])
        scores, *more = (part[: h * n * m].view(h, n, m) for part in place.chunk(1 + self.keeps_scores))
        _multiply(grouped, self.k[group:last, low:high], scores.view(last - group, -1, m))
        if self.scale != 1:
            scores.mul_(self.scale)
        if self.softcap is not None:
            scores.div_(self.softcap).tanh_().mul_(self.softcap)
        at, to = self.positions[begin : begin + n], self.positions[low:high]
        if self.bias is not None:
            scores += self.bias(at, to)
        sinks = None if self.sinks is None else self.sinks[head : head + h]
        about = Tile(self.layer, start, low, scores, (heads, queries, keys), self.kind, head, window, first=self.first)
        if self.loops:
            tile = _compiled_softmax(self.loops, about, sinks)
        else:
            hide(scores, at, to, window, begin, low)
            weights = _softmax(scores, sinks, more[0] if more else scores)
            if self.bias is not None and more:  # it may hide keys by −∞, or ones that are hidden already
                scores.clamp_(min=_least(scores.dtype))
            tile = replace(about, weights=weights, scores=scores if more else None)
        mixed = torch.bmm(tile.weights.to(self.v.dtype).view(last - group, -1, m), self.v[group:last, low:high])
        self.context[head : head + h, start:stop] = mixed.view(h, n, -1)
        return tile


def _multiply(q: Tensor, k: Tensor, scores: Tensor) -> None:
    """Fill ``scores`` (g, r, m) with Q Kᵀ of ``q`` (g, r, D) and ``k`` (g, m, D)."""
    if k.device.type != "cpu" or k.shape[1] <= COLUMNS:
        torch.bmm(q, k.transpose(1, 2), out=scores)
        return
    for queries, keys, place in zip(q, k, scores, strict=True):
        for low in range(0, len(keys), COLUMNS):
            torch.mm(queries, keys[low : low + COLUMNS].T, out=place[:, low : low + COLUMNS])


def _compiled_softmax(loops: ModuleType, tile: Tile, sinks: Tensor | None) -> Tile:
    """Turn the scores that ``tile`` holds into its weights, and bring along what observers share of it."""
    h, n, m = tile.weights.shape
    blocks = -(-m // BLOCK)
    peaks, sums = tile.weights.new_empty(2, h, n, blocks)
    entropy, distance, received = (tile.weights.new_empty(shape) for shape in ((h, n), (h, n, 2), (h, m)))
    behind, ahead = (-1 if side is None else side for side in (tile.window.left, tile.window.right))
    given = tile.weights.new_full((h,), -torch.inf) if sinks is None else sinks.float().contiguous()
    shared = (peaks, sums, entropy, distance, received)
    loops.softmax(tile.weights.numpy(), tile.own, behind, ahead, given.numpy(), *(array.numpy() for array in shared))
    vars(tile).update(peaks=peaks, sums=sums, entropy=entropy, distance=distance, received=received)
    return tile


def _cut(
    heads: int, groups: int, queries: int, keys: int, rows: int | None, most: int | None, whole: bool
) -> tuple[int, int]:
    """How many queries (``most`` at most) and key-value heads a tile has; all of these where it must be ``whole``."""
    share = heads // groups
    if rows is None:
        rows = max(1, TILE // ((heads if whole else share) * keys))
        rows = rows if most is None else min(rows, most)
    return rows, groups if whole else max(1, min(groups, TILE // (share * min(rows, queries) * keys)))


def _softmax(scores: Tensor, sinks: Tensor | None, place: Tensor) -> Tensor:
    """The softmax over the keys of ``scores`` (h, n, m), in ``place``; one of its terms is the sink's if there are."""
    if sinks is None:
        return torch.softmax(scores, dim=-1, out=place)
    column = sinks.to(scores)[:, None, None].expand(-1, scores.shape[1], 1)
    return place.copy_(torch.softmax(torch.cat((scores, column), dim=-1), dim=-1)[..., :-1])


def hide(scores: Tensor, at: Tensor, to: Tensor, window: KeyWindow, query: int, key: int) -> None:
    """Take from the ``scores`` (h, n, m) what the queries do not see; ``query`` and ``key`` are the first positions.

    Only where the tile's reach ends are there keys that some of its queries see and others do not.
    """
    count = len(at)
    if window.right is not None:
        edge = min(max(0, query + window.right + 1 - key), len(to))
        scores[..., edge:] += _beyond(count, len(to) - edge, key + edge - query - window.right, scores.dtype, at.device)
    if window.left is not None:
        edge = max(0, query + count - 1 - window.left - key)
        scores[..., :edge].masked_fill_(to[:edge] < at[:, None] - window.left, _least(scores.dtype))


@lru_cache(maxsize=8)
def _beyond(queries: int, keys: int, first: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The least number where key + ``first`` > query, else 0, (queries, keys): faster to add than to fill in."""
    return torch.full((queries, keys), _least(dtype), dtype=dtype, device=device).triu_(1 - first)


def _least(dtype: torch.dtype) -> float:
    """What stands for −∞: its weight is exactly 0, and times 0 it is no NaN, as observers need it."""
    return torch.finfo(dtype).min
