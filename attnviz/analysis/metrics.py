"""One number a head: entropy, distance, sink. ``weights`` is (L, H, N, M), rows are queries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.model.spec import CAUSAL, EVERYTHING, Reach
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
    return sink_of(weights.sum(-2, dtype=np.float64), places, CAUSAL if causal else EVERYTHING)[0]


def sink_of(
    received: NDArray[np.floating[Any]], queries: NDArray[np.intp], reach: Reach
) -> tuple[PerHead, NDArray[np.intp]]:
    """``sink``, and which key it is, of what each key receives (…, M) from ``queries`` that see as far as ``reach``.

    Where no key is seen by half of them, as in a long text with a short reach, the sink is NaN.
    """
    seen = _seen(reach, queries, received.shape[-1])
    common = seen * 2 >= len(queries)
    taken = np.where(common, received / np.maximum(seen, 1), -1)
    return np.where(common.any(), taken.max(-1), np.nan), taken.argmax(-1)


def _seen(reach: Reach, queries: NDArray[np.intp], keys: int) -> NDArray[np.intp]:
    """By how many of the ``queries`` each of the ``keys`` is seen, (M,)."""
    low = np.zeros_like(queries) if reach.behind is None else np.maximum(queries - reach.behind, 0)
    high = np.full_like(queries, keys) if reach.ahead is None else np.minimum(queries + reach.ahead + 1, keys)
    begin, end = (np.bincount(edge, minlength=keys + 1) for edge in (low, high))
    return np.asarray((begin - end).cumsum()[:keys])


def share(weights: Array, keys: NDArray[np.bool_]) -> float:
    """The part of all attention that goes to ``keys``, between 0 and 1: the mean over layers, heads and queries."""
    return float(weights[..., keys].sum(-1, dtype=np.float64).mean())
