"""Attention rollout: how much of each token reaches another along all paths through the layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnviz.record import Array

Doubles = NDArray[np.float64]


def mixing(weights: Array) -> Doubles:
    """½ · the mean of the heads + ½ · the residual connection, (L, N, N), of weights (L, H, N, N); rows sum to 1.

    Where a sink takes a part of a softmax, what is left is taken for the whole (Abnar & Zuidema 2020).
    """
    mean = weights.mean(1, dtype=np.float64)
    total = mean.sum(-1, keepdims=True)
    mean = np.divide(mean, total, out=np.broadcast_to(np.eye(mean.shape[-1]), mean.shape).copy(), where=total > 0)
    return np.asarray(0.5 * mean + 0.5 * np.eye(mean.shape[-1]))


def rollout(weights: Array, *, causal: bool) -> Doubles:
    """W_l ⋯ W_1 of each layer l, (L, N, N), where W is the ``mixing`` of a layer (Abnar & Zuidema 2020).

    In a decoder every path ends on the first token sooner or later, since each token sees only what is before it. There
    each number is divided by what it would be if all heads looked evenly at all that they see, and rows are made to sum
    to 1 again: what is left is what the attention adds to the mask.
    """
    found = _products(mixing(weights))
    if not causal:
        return found
    layers, _, n, _ = weights.shape
    even = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    usual = _products(mixing(np.broadcast_to(even, (layers, 1, n, n))))
    found = np.divide(found, usual, out=np.zeros_like(found), where=usual > 0)
    return np.asarray(found / found.sum(-1, keepdims=True))


def _products(layers: Doubles) -> Doubles:
    found = np.empty_like(layers)
    for i, layer in enumerate(layers):
        found[i] = layer @ found[i - 1] if i else layer
    return found
