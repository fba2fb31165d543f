"""Find the strongest links in what observers kept: of all pairs of units, and of each query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.links import Link
from attnviz.analysis.text.offsets import DominantOffset
from attnviz.analysis.text.units import Mask, Reading
from attnviz.record import Array, Top

_ROWS = 1024
"""The number of queries that are searched at once."""


def without(top: Top, query_mask: Mask, dominant_offsets: Sequence[DominantOffset], first: int = 0) -> Top:
    """Set to 0 the weights in ``top`` (L, H, n, k) of queries outside of ``query_mask`` (n,), and of links at offsets.

    At most one link of each query is at the dominant offset of its head. ``first`` is the query of row 0.
    """
    if query_mask.all() and not dominant_offsets:
        return top
    weights = np.where(query_mask[:, None], top.weights, 0)
    for dominant in dominant_offsets:
        keys = dominant.keys[first : first + len(query_mask), None]
        weights[dominant.layer, dominant.head][top.keys[dominant.layer, dominant.head] == keys] = 0
    return replace(top, weights=weights)


def strongest_pairs(units: Reading, top: Top, heads: Mask, count: int) -> list[Link]:
    """The ``count`` strongest links of the ``heads`` that count (L, H), each pair of units once.

    The result is exact if ``top`` has k ≥ ``count``, since fewer than ``count`` links precede a pair of the result in
    its best head. Of equal weights the first pair comes first, and of its heads the first.
    """
    candidates: list[tuple[float, int, int, int, int]] = []
    for layer, head in np.argwhere(heads).tolist():
        candidates += [(-weight, q, k, layer, head) for weight, q, k in _strongest(top, layer, head, count)]
    found: dict[tuple[int, int], Link] = {}
    for weight, query, key, layer, head in sorted(candidates):
        if len(found) == count:
            break
        if (query, key) not in found:
            found[query, key] = link_of(units, (layer, head), query, key, -weight)
    return list(found.values())


def _strongest(top: Top, layer: int, head: int, count: int) -> list[tuple[float, int, int]]:
    """The ``count`` strongest links of one head, and those that are equal to the last: (weight, query, key)."""
    weights, keys = top.weights[layer, head], top.keys[layer, head]  # (n, k), or (k,) where ``top`` has queries
    least = np.partition(weights, weights.size - count, None)[weights.size - count] if weights.size > count else 0
    places = np.nonzero((weights >= least) & (weights > 0))
    queries = places[0] if top.queries is None else top.queries[layer, head][places]
    return list(zip(weights[places].tolist(), queries.tolist(), keys[places].tolist(), strict=True))


def strongest_keys(
    units: Reading, top: Top, heads: Mask, rows: Sequence[int], count: int, first: int = 0
) -> list[tuple[Link, ...]]:
    """The ``count`` strongest keys of each of the ``rows`` of ``top`` (L, H, n, k), in the ``heads`` that count (L, H).

    ``first`` is the query of row 0. The result is exact if k ≥ ``count``.
    """
    numbers, k = np.flatnonzero(heads), top.keys.shape[-1]
    shape = -1, *top.keys.shape[2:]
    weights, keys = top.weights.reshape(shape), top.keys.reshape(shape)  # (L·H, n, k)
    found: list[tuple[Link, ...]] = []
    for start in range(0, len(rows), _ROWS):
        some = np.array(rows[start : start + _ROWS], np.intp)
        place = numbers[:, None], some
        ours, theirs = (each.transpose(1, 0, 2).reshape(len(some), -1) for each in (weights[place], keys[place]))
        for row, listed in zip(some, _largest(ours, theirs, count), strict=True):
            links = (
                link_of(units, divmod(int(numbers[at // k]), heads.shape[1]), int(row) + first, key, weight)
                for weight, key, at in listed
            )
            found.append(tuple(links))
    return found


def _largest(weights: Array, keys: NDArray[np.integer[Any]], count: int) -> list[list[tuple[float, int, int]]]:
    """The ``count`` largest ``weights`` (n, c) of each row with different keys, as (weight, key, column)."""
    found: list[list[tuple[float, int, int]]] = [[] for _ in weights]
    none = np.iinfo(keys.dtype).max
    for _ in range(count if weights.size else 0):
        largest = weights.max(1)
        # Of equal weights the first key is taken, and of its heads the first.
        equal = weights == largest[:, None]
        key = np.where(equal, keys, none).min(1)
        same = keys == key[:, None]
        columns = (equal & same).argmax(1)
        weights[same] = 0
        for row in np.flatnonzero(largest):
            found[row].append((float(largest[row]), int(key[row]), int(columns[row])))
    return found


def link_of(units: Reading, place: tuple[int, int], query: int, key: int, weight: float) -> Link:
    """The link of a head, given by the indices of its layer and itself."""
    layer, head = place
    return Link(units.layers[layer], head, units.queries.labels[query], units.keys.labels[key], query, key, weight)
