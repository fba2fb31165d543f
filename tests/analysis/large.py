"""Attention between sentences, lines and paragraphs straight from all weights, in plain loops: what is held to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding import large_units
from attnviz.record import AttentionRecord, Request

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Large:
    """``weights`` (L, H, n, m) between the units, and the ``baseline`` (L, H, n, m) of each; NaN for none."""

    weights: Floats
    baseline: Floats


def spans(attention: AttentionRecord, request: Request, *, keys: bool) -> list[tuple[int, int]]:
    encoding = attention.key_encoding if keys else attention.encoding
    if request.unit == "token":
        return [(i, i + 1) for i in range(len(encoding))]
    if request.unit == "word":
        return [(word.start, word.stop) for word in encoding.words]
    causal = attention.causal and attention.keys is None
    starts = large_units(request.unit, encoding, causal=causal).starts
    return list(zip(starts, [*starts[1:], len(encoding)], strict=True))


def large(attention: AttentionRecord, request: Request, seen: NDArray[np.bool_], rows: dict[int, int]) -> Large:
    """``seen`` (N, M) says which keys each query sees; ``rows`` which token each query that looks is shown as."""
    a = attention.weights.astype(np.float64)
    queries, keys = (spans(attention, request, keys=which) for which in (False, True))
    shape = *a.shape[:2], len(queries), len(keys)
    weights, baseline = np.zeros(shape), np.full(shape, np.nan)
    for i, (start, stop) in enumerate(queries):
        own = [row for row, token in rows.items() if start <= token < stop]
        for k, (first, last) in enumerate(keys):
            to_unit = a[..., first:last].sum(-1)  # (L, H, N)
            tokens = seen[:, first:last].sum(-1)  # (N,)
            if own:
                count = tokens[own].sum() if request.per_token else len(own)
                weights[:, :, i, k] = to_unit[..., own].sum(-1) / max(count, 1)
            outside = [r for r in range(a.shape[2]) if attention.keys is not None or not first <= r < last]
            mixed = 0 < sum(r in outside for r in own) < len(own)
            others = [r for r in outside if tokens[r] and r not in own]
            if others and not mixed:
                count = tokens[others].sum() if request.per_token else len(others)
                baseline[:, :, i, k] = to_unit[..., others].sum(-1) / count
    return Large(weights, baseline)
