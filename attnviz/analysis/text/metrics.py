"""The sink of a head: the key that takes most of its attention, whatever the query."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PerHead = NDArray[np.float64]


def sink_of(
    received: NDArray[np.floating[Any]], queries: NDArray[np.intp], *, causal: bool
) -> tuple[PerHead, NDArray[np.intp]]:
    """The largest mean weight that one key takes of the queries from it on, of all in an encoder; and which key it is.

    As Gu et al. (2025) define it: a query that a layer's window keeps from the key gives it 0, for a sink takes weight
    whatever the query. The last keys of a causal model have few queries; the keys that have half of all are compared.

    Args:
        received: what each key receives (…, M) from the ``queries``.
        queries: their places.
        causal: a query sees no later key.
    """
    keys = np.arange(received.shape[-1])
    count = len(queries) - (np.searchsorted(np.sort(queries), keys) if causal else np.zeros_like(keys))
    taken = np.where(count * 2 >= len(queries), received / np.maximum(count, 1), -1)
    return taken.max(-1), taken.argmax(-1)
