"""The one pass over weights in the reader's units on the CPU, compiled by numba: strongest links, bands and maps.

``observers.units`` does the same with torch, and says what is found; the tests hold one to the other. A query's row
is added up in the tokens of the keys until its unit ends, then in their units, and is read there by all.
"""

# Its imports, for numba's cache: b855896846d7
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from attnviz.attention.block_sizes import LANES
from attnviz.attention.compiled.math import larger
from attnviz.attention.compiled.simd import largest, load, splat, store

_zero = np.float32(0)
_FEW = 8
"""So many rows are added up as float32; of more the roundings would add up."""
_plain: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_plain)  # type: ignore[untyped-decorator]
def read_units(
    a: Any, shape: Any, places: Any, window: Any, queries: Any, keys: Any, open_: Any,
    links: Any, bands: Any, map_: Any, average: Any, usual: Any,
) -> None:  # fmt: skip
    """Read the units that end in a tile of weights ``a``.

    Args:
        shape: h, n, m, and by how many numbers of ``a`` heads and rows are apart.
        places: the tokens of the first query and key.
        window: how many keys before and after it a query sees, −1 for all.
        queries: the first tokens of the units that look, and behind them how many tokens there are; and the first unit
            of the tile.
        keys: the same of those that are looked at (U + 1,); the unit of each token (M,); the tokens that do not begin a
            unit; and how many of these stand in front of each token (M + 1,).
        open_: the sum so far of the unit whose tokens go on in the next tile (h, M).
        links: which units look (as bytes); which are looked at (U + LANES,), as 1 or 0; whether a unit looks at itself;
            the first unit whose links are kept; below which weight none is (h,); the weights (h, …, k) and the keys.
        bands: which units look; where the bands begin; the weights (h, bands, k), the queries and the keys.
        map_: which units look; which are looked at; the first query and key, and the ends; how many are joined down and
            across; the cells (h, rows, columns).
        average: the row of each unit from one on, or −1; that unit; the rows (rows, U).
        usual: what each key gets (h, U), where nothing is added up (h, 0); what stands at each distance (h, …), and the
            first unit that looks; the row of each unit that looks, or −1, and the rows (h, rows, U); the keys whose
            columns are kept, and the columns (h, N, columns).
    """
    (h, n, m, heads, rows), (query, key), (firsts, unit) = shape, places, queries
    starts = keys[0]
    room = len(starts) + LANES
    line, sums, seen = np.zeros(room, np.float32), np.zeros(room), np.zeros(room, np.float32)
    together = np.zeros(m, np.float32)
    for head in range(h):
        u = unit
        for i in range(n):
            at, token = head * heads + i * rows, query + i
            first, last = firsts[u], firsts[u + 1]
            few = last - first <= _FEW and first >= query and last <= query + n
            if last - first > 1 and not few:
                for j in range(m):
                    open_[head, key + j] += a[at + j]
            if token < last - 1:
                continue
            right = len(keys[1]) if window[1] < 0 else min(len(keys[1]), token + window[1] + 1)
            left = 0 if window[0] < 0 else max(0, first - window[0])
            if few:
                left, right = max(left, key), min(right, key + m)
                row = a[at : at + m]
                if last - first > 1:
                    _add_rows(a, at, rows, last - first, right - key, together)
                    row = together
                low, high = _add_tokens(row, key, left, right, keys, sums)
            else:
                low, high = _add_tokens(open_[head], 0, left, right, keys, sums)
                open_[head, left:right] = 0
            part = 1.0 / (last - first)
            for j in range(low, high):
                line[j] = sums[j] * part
            line[high : high + LANES] = 0
            if low < high:
                _read_line(line, seen, low, high, u, head, links, bands, map_, average)
                _add_line(line, low, high, u, head, usual)
            u += 1


@njit(**_plain)  # type: ignore[untyped-decorator]
def _add_tokens(row: Any, key: int, left: int, right: int, keys: Any, sums: Any) -> Any:
    """Add the tokens from ``left`` to ``right`` of a ``row``, whose first is ``key``, up in units; say which."""
    starts, units, rest, before = keys
    if left >= right:
        return 0, 0
    low, high = units[left], units[right - 1] + 1
    begin = low
    if starts[low] < left:
        sums[low] = 0.0  # of its tokens only those that follow
        begin = low + 1
    # Unsigned indices are not tested for being negative.
    for u in range(np.uintp(begin), np.uintp(high)):
        sums[u] = row[np.uintp(starts[u] - key)]
    for e in range(before[left], before[right]):
        sums[np.uintp(units[rest[e]])] += row[np.uintp(rest[e] - key)]
    return low, high


@njit(**_plain)  # type: ignore[untyped-decorator]
def _add_rows(a: Any, at: int, apart: int, count: int, m: int, together: Any) -> None:
    """Add ``count`` rows of ``m`` weights up, the last of which begins at ``at``."""
    last, other = a[at : at + m], a[at - apart : at - apart + m]
    for j in range(m):
        together[j] = last[j] + other[j]
    for i in range(2, count):
        other = a[at - i * apart : at - i * apart + m]
        for j in range(m):
            together[j] += other[j]


@njit(**_plain)  # type: ignore[untyped-decorator]
def _read_line(
    line: Any, seen: Any, low: int, high: int, u: int, head: int, links: Any, bands: Any, map_: Any, average: Any
) -> None:
    """Read the weights ``line`` of the unit ``u`` to those from ``low`` to ``high``."""
    looks, counts, itself, first, floor, weights, columns = links
    near_looks, edges, strong, strong_rows, strong_columns = bands
    if looks[u] or near_looks[u]:
        for j in range(low, high, LANES):
            store(seen, j, load(line, j) * load(counts, j))
        seen[high : high + LANES] = 0
        if not itself and low <= u < high:
            seen[u] = 0
        if looks[u]:
            place = u - first
            _keep(seen, low, high, u, floor[head], weights[head, place], columns[head, place], strong_rows[0, 0, :0])
        if near_looks[u]:
            for e in range(len(edges)):
                near, far = edges[e], edges[e + 1] if e + 1 < len(edges) else len(line) + u
                kept = strong[head, e], strong_columns[head, e], strong_rows[head, e]
                _keep(seen, max(low, u - far + 1), min(high, u - near + 1), u, _zero, *kept)
                _keep(seen, max(low, u + near), min(high, u + far), u, _zero, *kept)
    shown, mask, top, bottom, begin, end, down, across, cells = map_
    if top <= u < bottom and shown[u]:
        _join(line, mask, max(low, begin), min(high, end), begin, across, cells[head, (u - top) // down])
    slots, begins, rows = average
    slot = slots[u - begins]
    if slot >= 0:
        for j in range(low, high):
            rows[slot, j] += line[j]


@njit(**_plain)  # type: ignore[untyped-decorator]
def _add_line(line: Any, low: int, high: int, u: int, head: int, usual: Any) -> None:
    """Add the weights ``line`` of the unit ``u`` to what is usual for a head."""
    received, diagonals, first, slots, rows, keys, columns = usual
    units = received.shape[1]
    if not units:
        return
    for j in range(low, high):
        received[head, j] += line[j]
    at = u - first + units - 1
    for j in range(low, high):
        diagonals[head, at - j] += line[j]
    slot = slots[u]
    if slot >= 0:
        for j in range(low, high):
            rows[head, slot, j] = line[j]
    for c in range(len(keys)):
        if low <= keys[c] < high:
            columns[head, u, c] = line[keys[c]]


@njit(**_plain)  # type: ignore[untyped-decorator]
def _keep(seen: Any, low: int, high: int, row: int, floor: Any, weights: Any, columns: Any, rows: Any) -> None:
    """Keep the largest of ``seen`` from ``low`` to ``high``, if they are above 0 and not below ``floor``, in order."""
    k = len(weights)
    least = max(weights[k - 1], floor)
    j = low
    while j < high:
        if j + LANES <= high and largest(load(seen, j)) < least:
            j += LANES
            continue
        for at in range(j, min(j + LANES, high)):
            value = seen[at]
            if value > weights[k - 1] and value >= floor:
                i = k - 1
                while i > 0 and weights[i - 1] < value:
                    weights[i], columns[i] = weights[i - 1], columns[i - 1]
                    if len(rows):
                        rows[i] = rows[i - 1]
                    i -= 1
                weights[i], columns[i] = value, at
                if len(rows):
                    rows[i] = row
        least = max(weights[k - 1], floor)
        j += LANES


@njit(**_plain)  # type: ignore[untyped-decorator]
def _join(line: Any, mask: Any, low: int, high: int, begin: int, across: int, cells: Any) -> None:
    """Let each of the ``cells`` have the largest of the ``across`` units that it joins; the first is ``begin``."""
    j = low
    while j < high:
        cell = (j - begin) // across
        end = begin + (cell + 1) * across
        if end - j >= LANES and end <= high:
            most = splat(_zero)
            for at in range(j, end - LANES + 1, LANES):
                most = larger(load(line, at) * load(mask, at), most)
            value = largest(most)
            j += (end - j) // LANES * LANES
        else:
            value = _zero
            for at in range(j, min(end, high)):
                value = max(value, line[at] * mask[at])
            j = min(end, high)
        cells[cell] = max(cells[cell], value)
