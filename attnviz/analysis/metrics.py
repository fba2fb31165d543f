"""One number a head: entropy, distance, sink. ``weights`` is (L, H, N, M), rows are queries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.record import Array

PerHead = NDArray[np.float64]


def entropy(weights: Array) -> PerHead:
    """−Σₖ A ln A in nats, averaged over the queries (Clark et al. 2019), (L, H)."""
    logs = np.log(weights, where=weights > 0, out=np.zeros_like(weights))
    return np.asarray(np.einsum("lhqk,lhqk->lhq", weights, -logs).mean(-1, dtype=np.float64)) + 0.0  # no −0


def distance(weights: Array, queries: NDArray[np.intp] | None = None) -> PerHead:
    """Σₖ A · |q − k| in tokens of one text, averaged over the queries (Vig & Belinkov 2019), (L, H).

    ``queries`` are the places of the rows, where these are not all.
    """
    places = np.arange(weights.shape[-1])
    apart = np.abs((places if queries is None else queries)[:, None] - places[None, :]).astype(weights.dtype)
    return np.asarray(np.einsum("lhqk,qk->lhq", weights, apart).mean(-1, dtype=np.float64))


def sink(weights: Array, causal: bool, queries: NDArray[np.intp] | None = None) -> PerHead:
    """The largest mean weight that one key takes from all queries that see it (Gu et al. 2025), (L, H).

    In a causal model the last keys are seen by few queries; the keys that half of the queries see are compared.
    ``queries`` are the places of the rows, where these are not all.
    """
    places = np.arange(weights.shape[-2]) if queries is None else queries
    return sink_of(weights.sum(-2, dtype=np.float64), places, causal)


def sink_of(received: NDArray[np.floating[Any]], queries: NDArray[np.intp], causal: bool) -> PerHead:
    """``sink``, of what each key receives (L, H, M) from ``queries``, whose places rise."""
    n, m = len(queries), received.shape[-1]
    seen = n - np.searchsorted(queries, np.arange(m)) if causal else np.full(m, n)
    common = seen * 2 >= n
    return np.asarray((received[..., common] / seen[common]).max(-1), np.float64)


def share(weights: Array, keys: NDArray[np.bool_]) -> float:
    """The part of all attention that goes to ``keys``, between 0 and 1: the mean over layers, heads and queries."""
    return float(weights[..., keys].sum(-1, dtype=np.float64).mean())
