"""The one pass over the scores of packed documents on the CPU, compiled by numba: softmax, figures, links.

``pack_figures`` computes the same with torch where numba is missing, on other devices and in other types, and says what
each array is; the tests hold one to the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from attnviz.attention.block_sizes import LANES
from attnviz.attention.compiled.math import LOWEST, above, exp, larger
from attnviz.attention.compiled.simd import at_least, between, largest, load, splat, store, total

_zero, _one, _hidden = np.float32(0), np.float32(1), np.float32(-3.0e38)
# Where scores are no numbers there is division by zero, which is to go on.
_plain: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_plain)  # type: ignore[untyped-decorator]
def measure(
    scores: Any, first: int, behind: int, ahead: int, marks: Any, words: Any, rules: Any, figures: Any, links: Any
) -> None:
    """Turn the ``scores`` (B, H, n, width) of the documents from ``first`` on into weights, and measure them.

    A row of scores has ``width`` numbers, whole vectors, of which the first n are those of the keys. A query sees
    ``behind`` keys before it and ``ahead`` after it, −1 for all. What is found is filled into ``figures`` (B, H,
    FIGURES) and the arrays of ``links`` (B, top), which are those of the whole pack, as ``marks`` and ``words`` are.
    """
    starts, leads, tails, special, punctuation, before = marks
    count, heads, n, width = scores.shape
    surprises = np.empty(n)
    for i in range(n):
        low, high = 0 if behind < 0 else max(0, i - behind), n - 1 if ahead < 0 else min(n - 1, i + ahead)
        surprises[i] = 1 / math.log(high - low + 1) if high > low else 0.0
    # With room for whole vectors.
    row, received, inside = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    diagonals, counts = np.empty(2 * n + LANES, np.float32), np.empty(2 * n, np.int32)
    for b in range(count):
        d = first + b
        tokens = slice(starts[d], starts[d + 1])
        about = special[tokens], punctuation[tokens], before[tokens]
        inside[:] = 0
        inside[: tails[d]] = 1
        for h in range(heads):
            _pass(
                scores, (b * heads + h) * n * width, behind, ahead, surprises, tails[d], about,
                row, inside, received, diagonals, counts, figures[d, h],
            )  # fmt: skip
            _figures(received, diagonals, counts, ahead == 0, leads[d], tails[d], about, figures[d, h])
        _links(scores[b], d, about[0], words, rules, figures[d], links)


@njit(**_plain)  # type: ignore[untyped-decorator]
def _pass(
    a: Any, start: int, behind: int, ahead: int, surprises: Any, tail: int, about: Any,
    row: Any, inside: Any, received: Any, diagonals: Any, counts: Any, found: Any,
) -> None:  # fmt: skip
    """Turn the scores of a head, from ``start`` on in ``a``, into weights and sum them by key, offset and query.

    ``counts`` says of each offset in how many queries of the text it has the largest weight; both are from −n + 1 on.
    """
    special, _, before = about
    n, width = len(special), a.shape[3]
    lowest, none = splat(LOWEST), splat(_zero)
    received[:], diagonals[:], counts[:] = 0, 0, 0
    entropy, normalised, confidence, repeated, repeats = 0.0, 0.0, 0.0, 0.0, 0
    for i in range(n):
        at, shift = start + i * width, n - 1 - i
        left, right = 0 if behind < 0 else max(0, i - behind), n if ahead < 0 else min(n, i + ahead + 1)
        top = splat(_hidden)
        for j in range(0, width, LANES):
            top = larger(between(load(a, at + j), left - j, right - j, _hidden), top)
        top = splat(largest(top))
        mass, below = none, none
        for j in range(0, width, LANES):
            x = larger(between(load(a, at + j), left - j, right - j, _hidden) - top, lowest)
            e = above(x, lowest, exp(x))
            store(row, j, e)
            mass, below = mass + e, below + e * x
        whole = total(mass)
        part = _one / whole
        best, most = n, none
        for j in range(0, width, LANES):
            w = load(row, j) * part
            store(a, at + j, w)
            store(received, j, load(received, j) + w)
            store(diagonals, shift + j, load(diagonals, shift + j) + w)
            most = larger(w * load(inside, j), most)
            best = min(best, j + at_least(w, part))  # the largest is exp(0)
        surprise = math.log(whole) - total(below) / whole
        entropy += surprise
        normalised += surprise * surprises[i]
        if i < tail:
            confidence += largest(most)
            if not special[i]:
                counts[shift + best] += 1
        earlier = before[i]
        repeats += earlier >= 0
        while earlier >= 0:
            repeated += row[earlier] * part
            earlier = before[earlier]
    found[0], found[1], found[14] = entropy / n, normalised / n, confidence / tail
    found[17] = repeated / repeats if repeats else np.nan


@njit(**_plain)  # type: ignore[untyped-decorator]
def _figures(
    received: Any, diagonals: Any, counts: Any, causal: bool, lead: int, tail: int, about: Any, found: Any
) -> None:
    """Fill in the figures ``found`` that are read from sums."""
    special, punctuation, _ = about
    n = len(special)
    signed, absolute, best = 0.0, 0.0, 0
    for o in range(2 * n - 1):
        signed -= (o - n + 1) * np.float64(diagonals[o])
        absolute += abs(o - n + 1) * np.float64(diagonals[o])
        if counts[o] > counts[best]:
            best = o
    found[2], found[3], found[4] = absolute / n, signed / n, diagonals[n - 1] / n
    found[5] = diagonals[n - 2] / (n - 1) if n > 1 else np.nan
    found[6] = diagonals[n] / (n - 1) if n > 1 else np.nan
    found[7] = received[0] / n
    shares, has = np.zeros(4), np.zeros(4, np.bool_)
    found[12], found[15] = -1.0, -1.0
    text = 0
    for k in range(n):
        given = np.float64(received[k])
        text += not special[k]
        for place, belongs in enumerate((k < lead, k >= tail, special[k], punctuation[k])):
            if belongs:
                shares[place] += given
                has[place] = True
        after = n - k if causal else n  # the queries of which the key may be the sink
        if after * 2 >= n and given / after > found[12]:
            found[12], found[13] = given / after, k
        if given > found[15]:
            found[15], found[16] = given, k
    for place in range(4):
        found[8 + place] = shares[place] / n if has[place] else np.nan
    found[18] = best - n + 1 if text else np.nan
    found[19] = counts[best] / text if text else np.nan


@njit(**_plain)  # type: ignore[untyped-decorator]
def _links(a: Any, d: int, special: Any, words: Any, rules: Any, figures: Any, links: Any) -> None:
    """Fill in the strongest links of the document ``d``: each pair of words in its best head, the first of equals."""
    bounds, edges, query_mask, key_mask, itself = words
    least, positional, many, habit = rules
    top, n = links[0].shape[1], a.shape[1]
    first, count = bounds[d], bounds[d + 1] - bounds[d]
    shares, text = figures[:, 19], n - special.sum()
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
            offset = figures[h, 18]
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
