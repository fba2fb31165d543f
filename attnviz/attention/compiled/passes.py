"""The one pass over scores on the CPU, compiled by numba: they become weights, and what observers count is added up.

``sums.add`` does the same with torch, and says what each sum is; the tests hold one to the other. A row of scores has
``width`` numbers, whole vectors, of which those of its m keys come first; with these it stays in the core's cache.
"""

# Its imports, for numba's cache: ebb62acdb59e
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from attnviz.attention.block_sizes import LANES
from attnviz.attention.compiled import HIDDEN
from attnviz.attention.compiled.math import LOWEST, above, exp, larger
from attnviz.attention.compiled.simd import at_least, between, largest, load, splat, store, total

_zero, _hidden = np.float32(0), np.float32(HIDDEN)
COUNTING, TELLING, CONFIDENT = 1, 2, 4
"""What a query counts for, as bits: the sums, the commonest offset, the confidence."""
_CHUNK = 64 * LANES
"""So many numbers are added up as float32; of more the roundings would add up."""
# Where scores are no numbers there is division by zero, which is to go on.
PLAIN: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
INLINE: dict[str, Any] = {"inline": "always"}
"""Of a function that only compiled ones call: it is compiled as part of these, not for itself before."""


@njit(**PLAIN)  # type: ignore[untyped-decorator]
def weigh(
    a: Any, shape: Any, window: Any, places: Any, sinks: Any, about: Any, scalars: Any, by_key: Any, by_offset: Any
) -> None:
    """Turn the scores of a tile in ``a`` (h·n·width,) into weights, and add to the sums of its task.

    Args:
        shape: h, n, m and the width.
        window: how many keys before and after it a query sees, −1 for all.
        places: the numbers of the first query and key, and the column of the key at the place of the first query.
        sinks: the scores (h,) of a key without a value; the least float for none.
        about: what ``_add_rows`` reads of the text.
        scalars: (h, SCALARS).
        by_key: what keys receive, of all queries and of those of their own passage, (h, width) and (h, width or 0) in
            float32; and the weights of the first key (h, N or 0).
        by_offset: (h, n + width) in float32, from −n + 1 − place on; and (h, …), how often an offset has the largest
            weight, with the column of the offset 0.
    """
    heads, n, m, width = shape
    received, own, firsts = by_key
    diagonals, counts, zero = by_offset
    for h in range(heads):
        _add_rows(
            a, h * n * width, (n, m, width), window, places, sinks[h], about,
            scalars[h], received[h], own[h], firsts[h], diagonals[h], counts[h], zero,
        )  # fmt: skip


@njit(**PLAIN)  # type: ignore[untyped-decorator]
def weigh_pack(a: Any, first: int, window: Any, sinks: Any, starts: Any, about: Any, sums: Any) -> None:
    """Turn the scores ``a`` (B, H, n, width) of the documents from ``first`` on into weights, and add to ``sums``.

    ``starts`` says where the documents begin among the tokens of their pack, of which ``about`` and ``sums`` are;
    ``sinks`` are those of ``weigh``.
    """
    count, heads, n, width = a.shape
    shares, flags, before, begins, ends, text = about
    scalars, received, own, firsts, diagonals, counts = sums
    rows = a.reshape(a.size)
    for b in range(count):
        start, stop = starts[first + b], starts[first + b + 1]
        tokens = slice(start, stop)
        at = shares, flags[tokens], before[tokens], begins, ends, text[start : start + width]
        for h in range(heads):
            _add_rows(
                rows, (b * heads + h) * n * width, (n, n, width), window, (0, 0, 0), sinks[h], at,
                scalars[h, first + b], received[h, start:], own[h], firsts[h], diagonals[h, 2 * start :],
                counts[h, 2 * start :], n - 1,
            )  # fmt: skip


@njit(**INLINE)  # type: ignore[untyped-decorator]
def _add_rows(
    a: Any, start: int, shape: Any, window: Any, places: Any, sink: Any, about: Any,
    scalars: Any, received: Any, own: Any, firsts: Any, diagonals: Any, counts: Any, zero: int,
) -> None:  # fmt: skip
    """Turn the rows of a head, from ``start`` on in ``a``, into weights and add them up."""
    (n, m, width), (behind, ahead), (first, low, place) = shape, window, places
    shares, flags, before, begins, ends, text = about
    lowest, none = splat(LOWEST), splat(_zero)
    for i in range(n):
        at, q, here, shift = start + i * width, first + i, place + i, n - 1 - i
        left = 0 if behind < 0 else min(m, max(0, here - behind))
        right = m if ahead < 0 else max(left, min(m, here + ahead + 1))
        begin, end = left // LANES * LANES, -(-right // LANES) * LANES
        for j in range(0, begin, LANES):
            store(a, at + j, none)
        for j in range(end, width, LANES):
            store(a, at + j, none)
        if end > begin:
            store(a, at + begin, between(load(a, at + begin), left - begin, right - begin, _hidden))
            store(
                a,
                at + end - LANES,
                between(load(a, at + end - LANES), left - end + LANES, right - end + LANES, _hidden),
            )
        top = splat(_hidden)
        for j in range(begin, end, LANES):
            top = larger(load(a, at + j), top)
        highest = largest(top)
        if sink > highest:
            highest = sink
        top, peak = splat(highest), none
        mass, below = 0.0, 0.0
        for chunk in range(begin, end, _CHUNK):
            some, under = none, none
            for j in range(chunk, min(chunk + _CHUNK, end), LANES):
                x = larger(load(a, at + j) - top, lowest)
                e = above(x, lowest, exp(x))
                store(a, at + j, e)
                some, under, peak = some + e, under + e * x, larger(e, peak)
            mass += total(some)
            below += total(under)
        whole = mass + math.exp(np.float64(sink - highest)) if sink > _hidden else mass
        # Of no key, and of scores that are no numbers, there are no weights.
        part = np.float32(1 / whole) if mass > 0 and highest > _hidden else _zero
        best, most = m, none
        peak_weight = largest(peak) * part
        if not flags[q] & COUNTING:
            for j in range(begin, end, LANES):
                w = load(a, at + j) * part
                store(a, at + j, w)
                best = min(best, j + at_least(w, peak_weight))
        else:
            for j in range(begin, end, LANES):
                w = load(a, at + j) * part
                store(a, at + j, w)
                store(received, j, load(received, j) + w)
                store(diagonals, shift + j, load(diagonals, shift + j) + w)
                most = larger(w * load(text, j), most)
                best = min(best, j + at_least(w, peak_weight))
            surprise = (math.log(whole) * mass - below) / whole if mass > 0 else 0.0
            scalars[0] += surprise
            scalars[1] += surprise * shares[q]
            scalars[2] += largest(most) if flags[q] & CONFIDENT else _zero
            earlier = before[q]
            while earlier >= low:
                scalars[3] += a[at + earlier - low]
                earlier = before[earlier]
            scalars[4] += peak_weight
            if len(firsts) and low == 0:
                firsts[q] = a[at]
            if len(own):
                for j in range(max(0, begins[q] - low), min(m, ends[q] - low)):
                    own[j] += a[at + j]
        if flags[q] & TELLING and best < m:
            counts[best - here + zero] += 1
