"""Attention flow: the most that can flow from a token of a layer to each token of the input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.rollout import mixing
from attnviz.errors import InputError, UsageError
from attnviz.record import Array

UNITS = 10**7
"""Capacities are whole numbers of 1 / UNITS."""
MOST = 5e8
"""How many edges all flow problems of a text may have together: about a minute."""


def flow(weights: Array) -> NDArray[np.float64]:
    """The maximum flow from each token of each layer to each token of the input, (L, N, N) (Abnar & Zuidema 2020).

    The capacities of the edges of a layer are the ``mixing`` of its weights (L, H, N, N). What leaves a token is 1 in
    all, so each flow is at most 1, and the flows to several tokens do not add up to 1: they share edges.

    Raises:
        InputError: the text has too many tokens.
        UsageError: scipy is not installed.
    """
    try:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_flow
    except ImportError:
        raise UsageError("flow needs scipy", hint="pip install 'attnviz[answers]'") from None
    layers, _, n, _ = weights.shape
    _require_few(layers, n)
    capacities = np.rint(mixing(weights) * UNITS).astype(np.int32)
    found = np.zeros((layers, n, n))
    for last in range(layers):
        # Node l · N + i is token i of layer l, the input being layer 0; edges lead down.
        rows, columns, values = [], [], []
        for layer in range(last + 1):
            queries, keys = np.nonzero(capacities[layer])
            rows.append((layer + 1) * n + queries)
            columns.append(layer * n + keys)
            values.append(capacities[layer][queries, keys])
        size = (last + 2) * n
        graph = csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (size, size))
        graph.indices, graph.indptr = graph.indices.astype(np.int32), graph.indptr.astype(np.int32)
        for i in range(n):
            for j in range(n):
                found[last, i, j] = maximum_flow(graph, (last + 1) * n + i, j).flow_value / UNITS
    return found


def _require_few(layers: int, n: int) -> None:
    edges = layers * layers / 2 * n**4
    if edges > MOST:
        most = int((2 * MOST) ** 0.25 / layers**0.5)
        raise InputError(
            f"flow is found for each pair of tokens by itself: {n} tokens are too many, up to {most} take a minute",
            hint="rollout takes no time, and is an approximation of it.",
        )
