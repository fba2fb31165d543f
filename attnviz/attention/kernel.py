"""The attention kernel: softmax(Q Kᵀ · scale + bias) V, exactly, in tiles of query rows.

The shape letters, here and everywhere: ``B`` documents, ``T`` packed tokens, ``L`` layers, ``H`` query heads,
``G`` key-value heads, ``N`` queries, ``M`` keys, ``D`` head size, ``C`` hidden size. ``n`` and ``m`` are the
queries and keys of one tile.

The weights of a tile are overwritten when its observers have seen them; the kernel never makes an array of all H·N·M
weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from threading import Lock

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attnviz.attention.block_sizes import LANES, TILE
from attnviz.attention.interventions import Intervention, at_layer
from attnviz.attention.pipeline import in_order
from attnviz.attention.scores import Bias, hide, to_weights
from attnviz.attention.shared import starts
from attnviz.attention.tile import PASSES, Task, Terms, find_loops
from attnviz.attention.tile import Kind as Kind
from attnviz.attention.tile import Observer as Observer
from attnviz.attention.tile import Tile as Tile
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow

# The most queries of a tile in a causal layer: fewer waste less on hidden keys, but make the products slow.
CAUSAL_ROWS = 128
# The number of keys that fit a core's own cache while they are multiplied with the queries of a tile.
COLUMNS = 1024
# The first key of each tile is a multiple of this.
_STEP = 64
# Layers with fewer weights run in one thread, and torch observes them: loading compiled loops takes longer.
SHORT = 1 << 20
# Layers with fewer weights use what is compiled already, so that they never wait for the compiler.
PARALLEL = 1 << 22
# The number of tasks per thread: more than one, since some take longer than others.
_TASKS = 4


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
    gate: Tensor | None = None,
    first: int = 0,
    layer: int = 0,
    kind: Kind = "self",
    observers: Sequence[Observer] = (),
    rows: int | None = None,
    interventions: Sequence[Intervention] = (),
) -> Tensor:
    """Attend from ``q`` (H, N, D) to ``k`` (G, M, D) and ``v`` (G, M, E) and return the context vectors (H, N, E).

    Head h reads key-value head h·G // H (Ainslie et al. 2023). Scores and weights are float32 at least, whatever
    the inputs. Each tile of ``rows`` queries (None: as many as fit ``TILE``) is shown to the observers.

    Args:
        first: the position of the first query; keys begin at 0.
        sinks: (H,), the score of a key without a value that takes its share of each softmax; then the weights of a
            query sum to less than 1 (gpt-oss).
        gate: (H, N, E), by which the context is multiplied.
        interventions: what is put in the place of weights, before observers see them, and of the context.
    """
    (heads, queries, _), (groups, keys, _) = q.shape, k.shape
    observers = [observer for observer in observers if observer.wants(layer, kind)]
    interventions = at_layer(interventions, layer, kind)
    changed = [each for each in interventions if each.touches_weights]
    square = window == EVERYTHING or (window == CAUSAL and not first and queries == keys)
    plain = square and bias is None and softcap is None and sinks is None and v.dtype is torch.float32
    if not observers and not changed and plain and _is_finite(q, k):
        return _settled(_unseen(q, k, v, scale, causal=window.right is not None), gate, interventions)
    most = None if window.right is None else CAUSAL_ROWS
    rows, together = _cut(heads, groups, queries, keys, rows, most, bias is not None)
    exact = torch.promote_types(q.dtype, torch.float32)
    double = exact is torch.float64
    q, k = q.to(exact), k.to(exact)
    scored = [observer for observer in observers if queries * keys <= observer.most_scores]
    for observer in scored:
        observer.see_vectors(layer, kind, q, k)
    # A scale that is a power of two is multiplied into the queries, which are fewer than the scores; this is exact.
    if math.frexp(scale)[0] == 0.5 and not scored:
        q, scale = q * scale, 1.0
    many = any(observer.many for observer in observers)
    compiling = many or heads * queries * keys > PARALLEL
    large = q.device.type == "cpu" and heads * queries * keys > min(SHORT, PARALLEL)
    loops = q.device.type == "cpu" and exact is torch.float32 and bool(observers) and (large or many) and not scored
    loops = loops and not changed and find_loops(PASSES) is not None and _is_finite(q, k)
    workers = torch.get_num_threads() if large else 1
    positions = torch.arange(max(first + queries, keys), device=q.device)
    context = v.new_empty((heads, queries, v.shape[-1]))
    call = _Call(
        q, k, v, scale, window, bias, softcap, sinks, rows, loops, observers, scored, changed, positions, context
    )
    task = Task(layer, kind, (heads, queries, keys), window, first, 0, heads, 0, queries, loops, double, compiling)
    tasks = [*_tasks(task, groups, together, workers, observers)]
    # Tiles are computed in a few buffers: allocating memory for each would take longer than its numbers.
    size = heads // groups * together * min(rows, queries) * (keys + LANES)
    workers = min(workers, len(tasks))
    buffers = [q.new_empty(size) for _ in range(workers + 2 if workers > 1 else 1)]
    threads = torch.get_num_threads()
    try:
        if loops:  # products made by several threads may differ in their last bits
            torch.set_num_threads(1)
        for seen in in_order(call.run, tasks, buffers, workers):
            for part in seen:
                part.end()
    finally:
        torch.set_num_threads(threads)
    context = _settled(context, gate, interventions)
    for observer in observers:
        if observer.contexts:
            observer.see_context(layer, kind, context)
    return context


def _settled(context: Tensor, gate: Tensor | None, interventions: Sequence[Intervention]) -> Tensor:
    """The ``context`` (H, N, E) behind the ``gate``, after what the ``interventions`` put in its place."""
    context = context if gate is None else context * gate
    for each in interventions:
        each.context(context)
    return context


def _tasks(layer: Task, groups: int, together: int, workers: int, observers: Sequence[Observer]) -> Iterable[Task]:
    """Split a ``layer`` into tasks of some key-value heads and queries, beginning where all ``observers`` allow it."""
    heads, queries, _ = layer.shape
    wanted = 1 if workers == 1 else max(1, _TASKS * workers // -(-groups // together))
    share = np.arange(1, wanted) / wanted
    # In a causal layer the last queries see most.
    edges = queries * (share if layer.window.right is None or layer.first else np.sqrt(share))
    allowed = starts(observers)
    if allowed is not None:
        some = np.array([0, *allowed, queries])
        edges = some[np.searchsorted(some, edges)]
    cuts = sorted({0, queries, *edges.astype(int).tolist()})
    # The tiles of some heads come one after another, so that their keys and values stay in the cache.
    for group in range(0, groups, together):
        head, last = (each * heads // groups for each in (group, min(group + together, groups)))
        for start, stop in pairwise(cuts):
            yield replace(layer, head=head, heads=last - head, start=start, stop=stop)


def _is_finite(q: Tensor, k: Tensor) -> bool:
    """Whether queries and keys are numbers: of NaN compiled passes make plausible weights, torch a context of 0."""
    return math.isfinite(q.sum() + k.sum())


def _unseen(q: Tensor, k: Tensor, v: Tensor, scale: float, *, causal: bool) -> Tensor:
    """The context of a layer whose weights no observer wants."""
    share = len(q) // len(k)
    k, v = (part.repeat_interleave(share, 0) if share > 1 else part for part in (k, v))
    causal = causal and q.shape[1] > 1
    return functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=causal, scale=scale)[0]


@dataclass(frozen=True, eq=False)
class _Call:
    """What all tiles of one call of ``attend`` share; each fills in its part of the ``context`` (H, N, E)."""

    q: Tensor
    k: Tensor
    v: Tensor
    scale: float
    window: KeyWindow
    bias: Bias | None
    softcap: float | None
    sinks: Tensor | None
    rows: int
    loops: bool
    observers: Sequence[Observer]
    scored: Sequence[Observer]
    changed: Sequence[Intervention]
    positions: Tensor
    context: Tensor
    seeing: Lock = field(default_factory=Lock)

    def run(self, task: Task, buffer: Tensor) -> list[Observer]:
        """Compute the tiles of a ``task`` in ``buffer``, show them, and return the observers' parts for this task."""
        seers = [part for observer in self.observers for part in observer.parts(task)]
        for start in range(task.start, task.stop, self.rows):
            tile, weighed = self._weighed(task, start, min(start + self.rows, task.stop), buffer, seers)
            for seer in seers:
                if not seer.own:  # it also sees the tiles of other threads
                    with self.seeing:
                        seer.tile(tile)
                elif seer is not weighed:
                    seer.tile(tile)
            self._mix(tile)
        return [part for part in seers if part.own]

    def _weighed(
        self, task: Task, start: int, stop: int, buffer: Tensor, seers: Sequence[Observer]
    ) -> tuple[Tile, Observer | None]:
        """Compute the weights of some queries in ``buffer``; also return the observer that has seen them, if any."""
        begin, n, window, keys = task.first + start, stop - start, self.window, self.k.shape[1]
        groups = slice(task.head * len(self.k) // len(self.q), (task.head + task.heads) * len(self.k) // len(self.q))
        # Keys that no query of the tile sees are left out; all tiles cut the keys at the same multiples.
        low = 0 if window.left is None or self.scored else max(0, begin - window.left) // _STEP * _STEP
        high = keys if window.right is None or self.scored else min(keys, task.first + stop + window.right)
        h, m = task.heads, high - low
        width = -(-m // LANES) * LANES if self.loops else m
        scores = buffer[: h * n * width].view(h, n, width)[..., :m]
        # (h, n, D) → (g, h/g·n, D): the queries of the heads that share a key head stand together.
        grouped = self.q[task.head : task.head + h, start:stop].reshape(
            groups.stop - groups.start, -1, self.q.shape[-1]
        )
        made = buffer[: h * n * width].view(len(grouped), -1, width)[..., :m]
        _multiply(grouped, self.k[groups, low:high], made)
        tile = Tile(task.layer, start, low, scores, task.shape, task.kind, task.head, window, task.first)
        at, to = self.positions[begin : begin + n], self.positions[low:high]
        bias = None if self.bias is None else self.bias(at, to)
        if bias is not None and len(bias) > 1:
            bias = bias[task.head : task.head + h]
        for observer in self.scored:
            with self.seeing:
                observer.see_scores(tile, Terms(self.scale, self.softcap, bias))
        if self.scale != 1:
            scores.mul_(self.scale)
        if self.softcap is not None:
            scores.div_(self.softcap).tanh_().mul_(self.softcap)
        if bias is not None:
            scores += bias
        sinks = None if self.sinks is None else self.sinks[task.head : task.head + h]
        for seer in seers if self.loops else ():
            if seer.weigh(tile, buffer[: h * n * width], sinks):
                return tile, seer
        hide(scores, at, to, window, begin, low)
        to_weights(scores, sinks)
        for each in self.changed:
            each.weights(tile)
        return tile, None

    def _mix(self, tile: Tile) -> None:
        """Fill in the context of a tile's queries."""
        h, n, m = tile.weights.shape
        groups = slice(tile.head * len(self.k) // len(self.q), (tile.head + h) * len(self.k) // len(self.q))
        # (h, n, m) → (g, h/g·n, m)
        weights = tile.weights.to(self.v.dtype).view(groups.stop - groups.start, -1, m)
        values = self.v[groups, tile.key : tile.key + m]
        if weights.is_contiguous():
            mixed = torch.bmm(weights, values)
        else:  # bmm would copy them
            mixed = torch.stack([torch.mm(*pair) for pair in zip(weights, values, strict=True)])
        self.context[tile.head : tile.head + h, tile.query : tile.query + n] = mixed.view(h, n, -1)


def _multiply(q: Tensor, k: Tensor, scores: Tensor) -> None:
    """Fill ``scores`` (g, r, m) with Q Kᵀ of ``q`` (g, r, D) and ``k`` (g, m, D)."""
    if k.device.type != "cpu" or (k.shape[1] <= COLUMNS and scores.is_contiguous()):
        torch.bmm(q, k.transpose(1, 2), out=scores)
        return
    for queries, keys, buffer in zip(q, k, scores, strict=True):
        for low in range(0, len(keys), COLUMNS):
            torch.mm(queries, keys[low : low + COLUMNS].T, out=buffer[:, low : low + COLUMNS])


def _cut(
    heads: int, groups: int, queries: int, keys: int, rows: int | None, most: int | None, whole: bool
) -> tuple[int, int]:
    """The number of queries (at most ``most``) and of key-value heads of a tile; all heads if it must be ``whole``."""
    share = heads // groups
    if rows is None:
        rows = max(1, TILE // ((heads if whole else share) * keys))
        rows = rows if most is None else min(rows, most)
    return rows, groups if whole else max(1, min(groups, TILE // (share * min(rows, queries) * keys)))
