"""How fast this machine is: a short run of the model and of the kernel, from which the time of a long one follows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnviz.attention.kernel import Observer, attend
from attnviz.attention.observers import HeadStats, Received, Tiles, TopLinks
from attnviz.attention.window import EVERYTHING
from attnviz.encoding import Encoding
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
"""How long the model's longer run shall take."""
_FEW, _MANY = 32, 512
"""Between how many tokens the model's runs are."""
_SCORES = 24_000_000
"""How many scores the kernel's longer run has, of all heads."""


@dataclass(frozen=True)
class Rates:
    """Seconds: of one floating-point operation in the linear layers, of a query and of a score of one head."""

    operation: float
    query: float
    score: float

    def seconds(self, needed: Cost, shape: ModelShape) -> float:
        """How long a run of ``needed`` takes with observers."""
        return self.operation * (needed.linear_flops or 0) + self.attention(needed, shape)

    def attention(self, needed: Cost, shape: ModelShape) -> float:
        """The part of that which goes by scores."""
        scores = needed.all_scores if needed.seen is None else needed.seen
        return self.score * scores + self.query * needed.tokens * sum(b.heads for s in shape.stacks for b in s.blocks)


def measure_rates(backend: Native | Hosted, shape: ModelShape, ids: Sequence[int], *, bytes_: int) -> Rates:
    """Run the model on a few hundred tokens, which are ``ids`` again and again, and the kernel on random numbers.

    The kernel's time is a part for each query and one for each score that is seen, found from two lengths; what the
    model takes beyond it belongs to its linear layers. ``bytes_`` are those of one of the model's numbers.
    """
    block = max((block for stack in shape.stacks for block in stack.blocks), key=lambda block: block.heads)
    tensor = (
        next(iter(backend.network.tensors.values()))
        if isinstance(backend, Native)
        else next(backend.model.parameters())
    )
    query, score = _kernel(block, tensor.device)
    few = min(_FEW, shape.limit or _FEW)
    _model(backend, few, ids)  # files are read, threads are started
    taken = _model(backend, few, ids)
    many = max(few, min(int(few * _SECONDS / taken), shape.limit or _MANY, _MANY))
    taken = _model(backend, many, ids)
    needed = estimate_cost(shape, many, bytes_=bytes_, target=many)
    kernel = Rates(0, query, score).attention(needed, shape)
    # The kernel's share is small in a short run; whatever it was, the rest has taken some time.
    return Rates(max(taken - kernel, taken / 10) / (needed.linear_flops or 1), query, score)


def _observers() -> list[Observer]:
    return [TopLinks(LINKS_PER_QUERY), HeadStats(), Received(), Tiles(MAP_CELLS, MAP_CELLS)]


def _model(backend: Native | Hosted, tokens: int, ids: Sequence[int]) -> float:
    """The seconds that the model takes for ``tokens``."""
    read = (tuple(ids) * -(-tokens // len(ids)))[:tokens]
    text = Encoding("", None, read, (0,) * tokens, ("",) * tokens, (False,) * tokens, ())
    target = text if len(backend.kinds) > 1 else None
    return _timed(lambda: backend.run(text, _observers(), target))


def _kernel(block: AttentionBlock, device: torch.device) -> tuple[float, float]:
    """The seconds of the kernel and its observers for each query, and for each score that is seen, of one head."""
    window = block.window or EVERYTHING
    long = max(128, min(4096, math.isqrt(_SCORES * (1 if window.right is None else 2) // block.heads)))
    lengths = long // 4, long
    times = []
    for length in lengths:
        q, k, v = (
            torch.randn(heads, length, block.head_size, device=device)
            for heads in (block.heads, block.kv_heads, block.kv_heads)
        )

        def run(q: Tensor = q, k: Tensor = k, v: Tensor = v) -> Tensor:
            return attend(q, k, v, scale=block.head_size**-0.5, window=window, observers=_observers())

        run()
        times.append(min(_timed(run), _timed(run)) / block.heads)
    # t = query · n + score · seen(n), at two lengths
    (n, m), (a, b) = lengths, (visible_scores(window, length, length) for length in lengths)
    score = (times[1] * n - times[0] * m) / (b * n - a * m)
    score = min(max(score, times[1] / b / 10), times[1] / b)
    return max(0.0, times[1] - score * b) / m, score


def _timed(run: Callable[[], Any]) -> float:
    """The seconds until the result of ``run`` is there; a GPU has gone on without waiting until it is read."""
    start = time.perf_counter()
    float(run().sum())
    return time.perf_counter() - start
