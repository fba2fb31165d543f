"""Measure how fast this machine is with a short run of the model and the kernel, to estimate the time of a long one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnviz.attention.kernel import Observer, attend
from attnviz.attention.observers import HeadSums, LinkSelection, MapSelection, Units
from attnviz.attention.observers.selection import step
from attnviz.attention.window import EVERYTHING
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.cost.estimates import (
    LINKS_PER_QUERY,
    MAP_CELLS,
    AttentionBlock,
    Cost,
    ModelShape,
    estimate_cost,
    visible_scores,
)
from attnviz.model.hosted import Hosted
from attnviz.model.native.backend import Native

_SECONDS = 0.7
"""How long the model's longer run should take."""
_FEW, _MANY = 32, 512
"""The fewest and the most tokens of the model's runs."""
_SCORES = 24_000_000
"""The number of scores in the kernel's longer run, of all heads."""


@dataclass(frozen=True)
class Rates:
    """Seconds per floating-point operation of the linear layers, and per query and per score of one head."""

    operation: float
    query: float
    score: float

    def seconds(self, needed: Cost, shape: ModelShape) -> float:
        """Return the seconds of a run of ``needed`` with observers."""
        return self.operation * (needed.linear_flops or 0) + self.attention(needed, shape)

    def attention(self, needed: Cost, shape: ModelShape) -> float:
        """Return the seconds of its attention."""
        scores = needed.all_scores if needed.seen is None else needed.seen
        return self.score * scores + self.query * needed.tokens * sum(b.heads for s in shape.stacks for b in s.blocks)


def measure_rates(backend: Native | Hosted, shape: ModelShape, ids: Sequence[int], *, bytes_: int) -> Rates:
    """Run the model on a few hundred tokens, and the kernel on random numbers.

    The kernel's time is split into a part per query and a part per visible score, from runs of two lengths; the rest of
    the model's time belongs to its linear layers.

    Args:
        backend: the model.
        shape: its sizes.
        ids: the token ids to repeat.
        bytes_: the bytes of one of the model's numbers.
    """
    block = max((block for stack in shape.stacks for block in stack.blocks), key=lambda block: block.heads)
    tensor = (
        next(iter(backend.network.tensors.values()))
        if isinstance(backend, Native)
        else next(backend.model.parameters())
    )
    query, score = _kernel(block, tensor.device)
    limit = min(shape.limit or _MANY, backend.limit or _MANY)
    few = min(_FEW, limit)
    _model(backend, few, ids)  # a first run also reads files and starts threads
    taken = _model(backend, few, ids)
    many = max(few, min(int(few * _SECONDS / taken), limit, _MANY))
    try:
        taken = _model(backend, many, ids)
    except (
        ModelError
    ):  # positions in a table of several dimensions, or rules of its own, of which no config says a limit
        many = few
    needed = estimate_cost(shape, many, bytes_=bytes_, target=many)
    kernel = Rates(0, query, score).attention(needed, shape)
    # The kernel's share is small in a short run; however large it seems, the rest took some time.
    return Rates(max(taken - kernel, taken / 10) / (needed.linear_flops or 1), query, score)


def _observers(tokens: int) -> list[Observer]:
    """What observes a text of so many tokens, in these."""
    across = step(tokens, MAP_CELLS)
    map_ = MapSelection(0, tokens, 0, tokens, across, across)
    return [HeadSums(), Units(range(tokens), range(tokens), links=LinkSelection(LINKS_PER_QUERY), map_=lambda _: map_)]


def _model(backend: Native | Hosted, tokens: int, ids: Sequence[int]) -> float:
    """Return the seconds of a run of ``tokens`` tokens."""
    read = (tuple(ids) * -(-tokens // len(ids)))[:tokens]
    text = Encoding("", None, read, (0,) * tokens, ("",) * tokens, (False,) * tokens, ())
    target = text if len(backend.kinds) > 1 else None
    return _timed(lambda: backend.run(text, _observers(tokens), target))


def _kernel(block: AttentionBlock, device: torch.device) -> tuple[float, float]:
    """Return the seconds of the kernel and its observers per query and per visible score of one head."""
    window = block.window or EVERYTHING
    long = max(128, min(4096, math.isqrt(_SCORES * (1 if window.right is None else 2) // block.heads)))
    lengths = long // 4, long
    times = []
    for length in lengths:
        q, k, v = (
            torch.randn(heads, length, size, device=device)
            for heads, size in (
                (block.heads, block.head_size),
                (block.kv_heads, block.head_size),
                (block.kv_heads, block.value_size),
            )
        )

        def run(q: Tensor = q, k: Tensor = k, v: Tensor = v) -> Tensor:
            return attend(q, k, v, scale=block.head_size**-0.5, window=window, observers=_observers(q.shape[1]))

        run()
        times.append(min(_timed(run), _timed(run)) / block.heads)
    # t = query · n + score · seen(n), at two lengths
    (n, m), (a, b) = lengths, (visible_scores(window, length, length) for length in lengths)
    score = (times[1] * n - times[0] * m) / (b * n - a * m)
    score = min(max(score, times[1] / b / 10), times[1] / b)
    return max(0.0, times[1] - score * b) / m, score


def _timed(run: Callable[[], Any]) -> float:
    """Return the seconds until the result of ``run`` is there; reading it waits for a GPU."""
    start = time.perf_counter()
    float(run().sum())
    return time.perf_counter() - start
