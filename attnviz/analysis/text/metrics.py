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
    """The largest mean weight that one key takes of the queries from it on, of all in an encoder, (L, H).

    As Gu et al. (2025) define it: a query that a layer's window keeps from the key gives it 0, for a sink takes weight
    whatever the query. The last keys of a causal model have few queries; the keys that have half of all are compared.
    ``queries`` are the places of the rows, where these are not all.
    """
    places = np.arange(weights.shape[-2]) if queries is None else queries
    return sink_of(weights.sum(-2, dtype=np.float64), places, causal=causal)[0]


def sink_of(
    received: NDArray[np.floating[Any]], queries: NDArray[np.intp], *, causal: bool
) -> tuple[PerHead, NDArray[np.intp]]:
    """``sink``, and which key it is, of what each key receives (…, M) from the ``queries``, by their places."""
    keys = np.arange(received.shape[-1])
    count = len(queries) - (np.searchsorted(np.sort(queries), keys) if causal else np.zeros_like(keys))
    taken = np.where(count * 2 >= len(queries), received / np.maximum(count, 1), -1)
    return taken.max(-1), taken.argmax(-1)


def share(weights: Array, keys: NDArray[np.bool_]) -> float:
    """The part of all attention that goes to ``keys``, between 0 and 1: the mean over layers, heads and queries."""
    return float(weights[..., keys].sum(-1, dtype=np.float64).mean())
