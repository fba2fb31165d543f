"""The inner loops over a tile on the CPU, compiled by numba: what torch would take ten passes for takes one.

All arrays are float32 and contiguous; ``rows`` run over the heads and queries of a tile. Where numba is missing, on
other devices and in other types torch computes the same (``Tile``, ``observers``), and the tests hold one to the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from attnviz.attention.compiled.math import LOWEST, above, exp, larger, maximum

BLOCK = 64
"""As ``tile.BLOCK``: a constant that the compiler sees."""

_PLACES = np.arange(BLOCK, dtype=np.float32)
_fast: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": True}


@njit(**_fast)  # type: ignore[untyped-decorator]
def softmax(
    scores: Any, own: int, behind: int, ahead: int, sinks: Any,
    peaks: Any, sums: Any, entropy: Any, distance: Any, received: Any,
) -> None:  # fmt: skip
    """Turn ``scores`` (h, n, m) into weights in their place, and fill in what observers share of a tile.

    The key at the place of row i is in column ``own`` + i; the row sees ``behind`` keys before it and ``ahead`` after
    it, −1 for all; what it does not see gets 0. ``sinks`` (h,) are the scores of a key without a value, −∞ for none.
    ``peaks`` and ``sums`` are (h, n, b), ``entropy`` is (h, n), ``distance`` (h, n, 2), ``received`` (h, m), as
    ``Tile`` says.
    """
    heads, n, m = scores.shape
    received[:] = 0
    for h in range(heads):
        for i in range(n):
            row, place = scores[h, i], own + i
            left = 0 if behind < 0 else min(m, max(0, place - behind))
            right = m if ahead < 0 else max(left, min(m, place + ahead + 1))
            top = larger(maximum(row[left:right]), sinks[h])
            mass, surprise, signed, absolute = 0.0, 0.0, 0.0, 0.0
            for b in range(peaks.shape[2]):
                low, high = max(left, b * BLOCK), min(right, (b + 1) * BLOCK)
                if low >= high:
                    peaks[h, i, b] = sums[h, i, b] = np.float32(0)
                    continue
                total, below, moment, peak = _exponentials(row[low:high], top)
                mass += total
                surprise += below
                apart = (place - low) * np.float64(total) - moment
                signed += apart
                if place >= high:
                    absolute += apart
                elif place < low:
                    absolute -= apart
                else:
                    for j in range(low, high):
                        absolute += abs(place - j) * row[j]
                peaks[h, i, b], sums[h, i, b] = peak, total
            whole = mass + math.exp(sinks[h] - top) if mass > 0 else 1.0
            part = np.float32(1 / whole)
            row[:left] = 0
            row[right:] = 0
            _scale(peaks[h, i], part)
            _scale(sums[h, i], part)
            _scale_and_add(row[left:right], part, received[h, left:right])
            entropy[h, i] = (math.log(whole) * mass - surprise) / whole
            distance[h, i, 0], distance[h, i, 1] = signed / whole, absolute / whole


@njit(**_fast)  # type: ignore[untyped-decorator]
def _scale(row: Any, factor: Any) -> None:
    for j in range(row.shape[0]):
        row[j] *= factor


@njit(**_fast)  # type: ignore[untyped-decorator]
def _scale_and_add(row: Any, factor: Any, sums: Any) -> None:
    for j in range(row.shape[0]):
        row[j] *= factor
        sums[j] += row[j]


@njit(**_fast)  # type: ignore[untyped-decorator]
def _exponentials(row: Any, top: Any) -> Any:
    """Turn a block's scores x into e = exp(x − top); return Σ e, Σ e·(x − top), Σ e·place and the largest e."""
    total, below, moment, peak = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for j in range(row.shape[0]):
        x = larger(row[j] - top, LOWEST)
        e = above(x, LOWEST, exp(x))
        row[j] = e
        total += e
        below += e * x
        moment += e * _PLACES[j]  # a number of 64 bits would have to become a float first, one by one
        peak = larger(e, peak)
    return total, below, moment, peak


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def largest(weights: Any, peaks: Any, best: Any, columns: Any) -> None:
    """Fill ``best`` and ``columns`` (rows, k) with the largest of each row of ``weights`` (rows, m), in order.

    The k largest lie in the blocks with the k largest maxima, of ``peaks`` (rows, b). These are searched from the
    largest on, until none is left whose maximum is beyond what was found.
    """
    k = best.shape[1]
    tops, blocks = np.empty(k, np.float32), np.empty(k, np.int64)
    for row in range(weights.shape[0]):
        tops[:], blocks[:] = -1, 0
        least, maxima = np.float32(-1), peaks[row]
        for b in range(len(maxima)):
            if maxima[b] > least:
                _insert(tops, blocks, maxima[b], b)
                least = tops[k - 1]
        found, at = best[row], columns[row]
        found[:] = least = np.nextafter(least, np.float32(-1))  # what is as large as the last maximum may be wanted
        for i in range(k):
            if tops[i] <= least:
                break
            low = blocks[i] * BLOCK
            block = weights[row, low : low + BLOCK]
            for j in range(len(block)):
                if block[j] > least:
                    _insert(found, at, block[j], low + j)
                    least = found[k - 1]


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def _insert(found: Any, at: Any, value: Any, place: Any) -> None:
    """Put ``value`` into its place in the descending ``found``, whose last is dropped, and ``place`` into ``at``."""
    i = len(found) - 1
    while i > 0 and found[i - 1] < value:
        found[i], at[i] = found[i - 1], at[i - 1]
        i -= 1
    found[i], at[i] = value, place


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def strongest(weights: Any, peaks: Any, columns: Any) -> None:
    """Fill ``columns`` (rows,) with the place of the largest of each row of ``weights`` (rows, m)."""
    for row in range(weights.shape[0]):
        low = peaks[row].argmax() * BLOCK
        columns[row] = low + weights[row, low : low + BLOCK].argmax()


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def figures(weights: Any, peaks: Any, sums: Any, own: int, has_first: bool, edges: Any, found: Any, bands: Any) -> None:
    """Fill ``bands`` (h, n, 1 + edges), and of ``found`` (h, n, FIGURES) what is read from single weights.

    ``bands`` are the weight at each distance: 0, and from each of ``edges`` to the next, without the first key, which
    ``has_first`` says is the first column.
    """
    heads, n, m = weights.shape
    before = np.empty(sums.shape[2] + 1)
    before[0] = 0
    for h in range(heads):
        for i in range(n):
            row, place = weights[h, i], own + i
            for b in range(sums.shape[2]):
                before[b + 1] = before[b] + sums[h, i, b]
            further = 0.0
            for e in range(len(edges) - 1, -1, -1):
                beyond = _outside(row, before, place, edges[e])
                bands[h, i, e + 1] = max(0.0, beyond - further)
                further = beyond
            for c in range(3):
                at = place + (0, -1, 1)[c]
                found[h, i, 4 + c] = row[at] if 0 <= at < m else 0.0
            bands[h, i, 0] = found[h, i, 4]
            found[h, i, 7] = peaks[h, i].max()
            found[h, i, 8] = row[0] if has_first else 0.0
            if has_first:
                band = np.searchsorted(edges, abs(place), side="right")
                bands[h, i, band] = max(0.0, bands[h, i, band] - row[0])


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _outside(row: Any, before: Any, place: int, distance: int) -> float:
    """The weight at ``distance`` from ``place`` and beyond; ``before`` is what lies in front of each block."""
    m, total = len(row), 0.0
    end = min(m, place - distance + 1)
    if end > 0:
        block = end // BLOCK
        total += before[block]
        for j in range(block * BLOCK, end):
            total += row[j]
    start = max(0, place + distance)
    if start < m:
        block = (start + BLOCK - 1) // BLOCK
        total += before[len(before) - 1] - before[block]
        for j in range(start, min(m, block * BLOCK)):
            total += row[j]
    return total


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def in_units(weights: Any, rows: Any, columns: Any, found: Any) -> None:
    """Add ``weights`` (h, n, m) to ``found`` (h, rows, columns), where ``rows`` (n,) and ``columns`` (m,) say."""
    heads, n, m = weights.shape
    line = np.empty(found.shape[2])  # of a long unit rounding would add up
    for h in range(heads):
        for i in range(n):
            row, sums = weights[h, i], found[h, rows[i]]
            line[columns[0] : columns[m - 1] + 1] = 0
            for j in range(m):
                line[columns[j]] += row[j]
            for j in range(columns[0], columns[m - 1] + 1):
                sums[j] += line[j]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def at_places(weights: Any, key: int, places: Any, begins: Any, ends: Any, found: Any) -> None:
    """Add to ``found`` (h,) what row i of ``weights`` (h, n, m) has at places[begins[i]:ends[i]], which rise.

    The first column is at the place ``key``.
    """
    heads, n, m = weights.shape
    for h in range(heads):
        for i in range(n):
            some, total = places[begins[i] : ends[i]], 0.0
            for j in range(np.searchsorted(some, key), len(some)):
                column = some[j] - key
                if column >= m:
                    break
                total += weights[h, i, column]
            found[h] += total
