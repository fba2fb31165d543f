"""The products of attention of packed documents on the CPU, compiled by numba: of short rows, where they lie.

Libraries for products of matrices are made for large ones; of twenty tokens they want copies and take longer.
"""

# Its imports, for numba's cache: 09a644bd2fba
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from attnviz.attention.block_sizes import LANES
from attnviz.attention.compiled.simd import load, splat, store

_zero = np.float32(0)


def make_scores(q: Any, k: Any, first: int, scale: float, scores: Any) -> None:
    """Fill in the ``scores`` (B, H, n, width) of the queries (H, T, D) and keys (G, T, D) from the token ``first`` on.

    A row of scores has ``width`` numbers, whole vectors, of which the first n are for the keys.
    """
    # numba takes longer to compile its own numpy than the loops.
    _make_scores(q, k, first, np.float32(scale), scores, np.zeros((q.shape[2], scores.shape[3]), np.float32))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _make_scores(q: Any, k: Any, first: int, factor: Any, scores: Any, keys: Any) -> None:
    """Fill in the ``scores``; ``keys`` (D, width) is room for keys in columns, with zeros behind them."""
    count, heads, n, width = scores.shape
    size, share = q.shape[2], heads // len(k)
    for b in range(count):
        start = first + b * n
        for h in range(heads):
            if h % share == 0:
                for j in range(n):
                    for d in range(size):
                        keys[d, j] = k[h // share, start + j, d] * factor
            for i in range(0, n, 4):
                # Four rows at once, of which the last may be the same.
                t, u, v, w = i, min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
                at = (b * heads + h) * n
                for j in range(0, width, LANES):
                    x0, x1, x2, x3 = splat(_zero), splat(_zero), splat(_zero), splat(_zero)
                    for d in range(size):
                        y = load(keys, d * width + j)
                        x0, x1 = x0 + y * q[h, start + t, d], x1 + y * q[h, start + u, d]
                        x2, x3 = x2 + y * q[h, start + v, d], x3 + y * q[h, start + w, d]
                    store(scores, (at + t) * width + j, x0)
                    store(scores, (at + u) * width + j, x1)
                    store(scores, (at + v) * width + j, x2)
                    store(scores, (at + w) * width + j, x3)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def take(weights: Any, v: Any, first: int, taken: Any) -> None:
    """Fill in (T, H, D), what ``weights`` (B, H, n, width) take of the values (G, T, D) from the token ``first`` on.

    D is a whole number of vectors, and ``taken`` lies in a row.
    """
    count, heads, n, _ = weights.shape
    size, share = v.shape[2], heads // len(v)
    group, step = v.strides[0] // 4, v.strides[1] // 4
    for b in range(count):
        start = first + b * n
        for h in range(heads):
            values = (h // share) * group + start * step
            for i in range(0, n, 4):
                t, u, x, w = i, min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
                for d in range(0, size, LANES):
                    x0, x1, x2, x3 = splat(_zero), splat(_zero), splat(_zero), splat(_zero)
                    for j in range(n):
                        y = load(v, values + j * step + d)
                        x0, x1 = x0 + y * weights[b, h, t, j], x1 + y * weights[b, h, u, j]
                        x2, x3 = x2 + y * weights[b, h, x, j], x3 + y * weights[b, h, w, j]
                    store(taken, ((start + t) * heads + h) * size + d, x0)
                    store(taken, ((start + u) * heads + h) * size + d, x1)
                    store(taken, ((start + x) * heads + h) * size + d, x2)
                    store(taken, ((start + w) * heads + h) * size + d, x3)
