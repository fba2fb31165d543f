"""The inner loops over a tile on the CPU, compiled by numba: what torch would take ten passes for takes one.

All arrays are float32 and contiguous; ``rows`` run over the heads and queries of a tile. Where numba is missing, on
other devices and in other types torch computes the same (``Tile``, ``observers``), and the tests hold one to the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

BLOCK = 64
"""As ``tile.BLOCK``: a constant that the compiler sees."""

_one, _half = np.float32(1), np.float32(0.5)
_LOWEST = np.float32(-87)  # exp of less is no normal number
_TO_BASE_2 = np.float32(1 / math.log(2))
# ln 2 in two parts, the first of few bits, so that n · ln 2 is exact (Cody & Waite 1980).
_LN_2, _LN_2_REST = np.float32(0.693359375), np.float32(-2.12194440e-4)
_PLACES = np.arange(BLOCK, dtype=np.float32)
_fast: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": True}

_INT, _FLOAT = ir.IntType(32), ir.FloatType()


@intrinsic  # type: ignore[untyped-decorator]
def _truncated(context: Any, x: Any) -> Any:  # noqa: ARG001
    """The float ``x`` as an int of the same width, so that vectors stay vectors (numba's would be of 64 bits)."""
    return types.int32(types.float32), lambda _c, builder, _s, args: builder.fptosi(args[0], _INT)


@intrinsic  # type: ignore[untyped-decorator]
def _power_of_2(context: Any, n: Any) -> Any:  # noqa: ARG001
    """2ⁿ as a float, by its bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        exponent = builder.shl(builder.add(args[0], ir.Constant(_INT, 127)), ir.Constant(_INT, 23))
        return builder.bitcast(exponent, _FLOAT)

    return types.float32(types.int32), generate


@intrinsic  # type: ignore[untyped-decorator]
def _larger(context: Any, x: Any, y: Any) -> Any:  # noqa: ARG001
    """The larger of two floats, in a form that the compiler turns into one instruction for eight."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args, flags=("fast",)), *args, flags=("fast",))

    return types.float32(types.float32, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def _above(context: Any, x: Any, limit: Any, value: Any) -> Any:  # noqa: ARG001
    """``value`` where ``x`` is above ``limit``, else 0; no branch, as a vector has none."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        above = builder.fcmp_ordered(">", *args[:2], flags=("fast",))
        return builder.select(above, args[2], ir.Constant(_FLOAT, 0.0), flags=("fast",))

    return types.float32(types.float32, types.float32, types.float32), generate


@njit(inline="always")  # type: ignore[untyped-decorator]
def _exp(x: Any) -> Any:
    """exp(x) of −87 ≤ x ≤ 0 to 2 units in the last place: 2ⁿ·exp(r), with a polynomial in r between ±½ ln 2."""
    n = _truncated(x * _TO_BASE_2 - _half)
    whole = np.float32(n)
    r = (x - whole * _LN_2) - whole * _LN_2_REST
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    return (p * (r * r) + r + _one) * _power_of_2(n)


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
            top = _larger(_maximum(row[left:right]), sinks[h])
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
def _maximum(row: Any) -> Any:
    top = np.float32(-3.0e38)
    for j in range(row.shape[0]):
        top = _larger(row[j], top)
    return top


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
        x = _larger(row[j] - top, _LOWEST)
        e = _above(x, _LOWEST, _exp(x))
        row[j] = e
        total += e
        below += e * x
        moment += e * _PLACES[j]  # a number of 64 bits would have to become a float first, one by one
        peak = _larger(e, peak)
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
