"""The one pass over the scores of packed documents on the CPU, compiled by numba: weights, sums and links.

``attention.packs`` computes the same with torch where numba is missing, on other devices and in other types, and says
what each array is; the tests hold one to the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from attnviz.attention.compiled.passes import weigh_pack

# Where scores are no numbers there is division by zero, which is to go on.
_plain: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_plain)  # type: ignore[untyped-decorator]
def measure(
    scores: Any, first: int, window: Any, texts: Any, about: Any, sums: Any, words: Any, rules: Any, links: Any
) -> None:
    """Turn the ``scores`` (B, H, n, width) of the documents from ``first`` on into weights, and measure them.

    ``texts`` says where the documents begin among the tokens, and how many of these are text. What is found is added to
    ``sums``, and filled into the arrays of ``links`` (B, top), which are those of the whole pack, as ``words`` are.
    """
    starts, text = texts
    weigh_pack(scores, first, window, starts, about, sums)
    counts, n = sums[5], scores.shape[2]
    usual = np.empty((scores.shape[1], 2))
    for b in range(len(scores)):
        d = first + b
        for h in range(len(usual)):
            own = counts[h, 2 * starts[d] : 2 * starts[d + 1]]
            best = own.argmax()
            usual[h, 0], usual[h, 1] = best - n + 1, own[best] / text[d] if text[d] else 0.0
        _links(scores[b], d, text[d], words, rules, usual, links)


@njit(**_plain)  # type: ignore[untyped-decorator]
def _links(a: Any, d: int, text: int, words: Any, rules: Any, offsets: Any, links: Any) -> None:
    """Fill in the strongest links of the document ``d``: each pair of words in its best head, the first of equals.

    ``offsets`` (H, 2) are at which offset each head looks, and in what share of the tokens of the text.
    """
    bounds, edges, query_mask, key_mask, itself = words
    least, positional, many, habit = rules
    top = links[0].shape[1]
    first, count = bounds[d], bounds[d + 1] - bounds[d]
    shares = offsets[:, 1]
    heads = np.flatnonzero((shares < positional) | (text < least))
    if not top or not len(heads):
        return
    begins = edges[first + d : first + d + count + 1]  # and where the last ends
    queries, keys = np.flatnonzero(query_mask[first : first + count]), np.flatnonzero(key_mask[first : first + count])
    starts, stops = begins[keys], begins[keys + 1]
    best, by = np.zeros((len(queries), len(keys))), np.zeros((len(queries), len(keys)), np.int16)
    habitual = (shares >= habit) & (text >= many)
    usual = np.empty(len(heads), np.int64)
    for i, q in enumerate(queries):
        low, high = begins[q], begins[q + 1]
        for place, h in enumerate(heads):
            offset = int(offsets[h, 0])
            usual[place] = (low if offset <= 0 else high - 1) + offset if habitual[h] else -1
        for j in range(len(keys)):
            start, stop = starts[j], stops[j]
            if start == low and not itself:
                continue
            most, own = 0.0, 0
            for place, h in enumerate(heads):
                weight = 0.0
                for row in range(low, high):
                    for column in range(start, stop):
                        weight += a[h, row, column]
                weight = 0.0 if start <= usual[place] < stop else weight
                if weight > most:
                    most, own = weight, place
            best[i, j], by[i, j] = most / (high - low), heads[own]
    _rank(best, by, queries, keys, links[0][d], links[1][d], links[2][d], links[3][d])


@njit(**_plain)  # type: ignore[untyped-decorator]
def _rank(best: Any, by: Any, queries: Any, keys: Any, heads: Any, at: Any, to: Any, weights: Any) -> None:
    """Fill in the ``heads``, queries, keys and ``weights`` (top,) of the strongest links; the rest stays as it is."""
    top, size = len(weights), 0
    values = np.zeros(top)  # of more bits than are kept
    for i in range(len(queries)):
        for j in range(len(keys)):
            value = best[i, j]
            if value <= (values[top - 1] if size == top else 0.0):
                continue
            size = min(size + 1, top)
            place = size - 1
            while place > 0 and values[place - 1] < value:
                values[place], heads[place] = values[place - 1], heads[place - 1]
                at[place], to[place] = at[place - 1], to[place - 1]
                place -= 1
            values[place], heads[place], at[place], to[place] = value, by[i, j], queries[i], keys[j]
    for place in range(size):
        weights[place] = values[place]
