"""What the observer of links and maps reads of one task: the definitions, and their compiled pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from attnviz.attention.arrays import (
    AnyArray,
    as_numbers,
    doubles,
    functions_of,
    group_maxima,
    group_sums,
    least_of_largest,
    like,
    zeros,
)
from attnviz.attention.texts import Ints
from attnviz.attention.tile import Observer, Task, Tile, find_loops, run_loop

if TYPE_CHECKING:
    from attnviz.attention.observers.reading import Units

COMPILED = "attnviz.attention.compiled.units"


class UnitsOfTask(Observer):
    """What is read of a task; of the map and the averages it has the rows that belong to it."""

    own = True

    def __init__(self, whole: Units, task: Task) -> None:
        self._whole, self._task = whole, task
        whole.of(task)
        self._map = whole.map_of(task.layer)
        self._unit = self._first = _unit(whole.units, task.start)
        last = _unit(whole.units, task.stop - 1) + 1
        links = whole.links
        stop = last if links.stop is None else min(last, links.stop)
        self._kept = max(self._first, links.first), max(stop, links.first, self._first)
        map_ = self._map
        self._rows = slice(
            *(min(max(0, unit - map_.top) // map_.down, map_.shape[0]) for unit in (self._first, last - 1 + map_.down))
        )
        slots = whole.slots[self._first : last]
        self._averaged = slots[slots >= 0]
        self._slots = np.where(slots >= 0, (slots >= 0).cumsum() - 1, -1)
        sums = whole.new(task, task.heads, *self._kept)
        self._found = replace(
            sums, cells=sums.cells[:, self._rows].copy(), rows=np.zeros((len(self._averaged), len(whole.firsts)))
        )
        self._usual = whole.new_usual(task.heads, last - self._first, part=True)
        self._floor = whole.floor(task)
        self._open = whole.open(task)
        self._ends = np.append(whole.units, task.shape[1])
        self._last = task.start

    def tile(self, tile: Tile) -> None:
        """Read the units that end in a tile."""
        compiled = self._task.compiled and self._whole.factors is None
        loops = find_loops(COMPILED) if compiled else None
        if loops is None or not self._compiled(loops, tile):
            self._by_definition(tile)
        self._pass(tile)

    def _pass(self, tile: Tile) -> None:
        """Go on to what comes after a tile."""
        self._last = tile.query + tile.weights.shape[1]
        self._unit = _unit(self._ends, self._last)

    def _compiled(self, loops: ModuleType, tile: Tile) -> bool:
        """Read a tile in one compiled pass; return False if that is not compiled yet and may not be."""
        whole, found, weights = self._whole, self._found, tile.weights
        h, n, m = weights.shape
        looks, counts, near, shown, mask = whole.masks
        import torch

        rows = torch.as_strided(weights, ((h - 1) * weights.stride(0) + (n - 1) * weights.stride(1) + m,), (1,))
        return run_loop(
            loops.read_units,
            rows.numpy(), (h, n, m, weights.stride(0), weights.stride(1)), (tile.query, tile.key), tile.window.ends,
            (self._ends, self._unit), whole.columns, self._open,
            (looks, counts, whole.links.itself, self._kept[0], self._floor, found.weights, found.keys),
            (near, np.array(whole.links.edges, np.int64), found.strong, found.strong_queries, found.strong_keys),
            (shown, mask, *self._bounds, found.cells), (self._slots, self._first, found.rows),
            self._arguments(),
            compiling=self._task.compiling,
        )  # fmt: skip

    def _arguments(self) -> tuple[object, ...]:
        """What is usual, as the compiled pass takes it: rows and columns go to their places in the layer at once."""
        sums, (slots, keys) = self._usual, self._whole.chosen
        layer, heads = self._whole.of(self._task).usual, slice(self._task.head, self._task.head + self._task.heads)
        return sums.received, sums.diagonals, self._first, slots, layer.rows[heads], keys, layer.columns[heads]

    @property
    def _bounds(self) -> tuple[int, ...]:
        """Which part of the map the rows of cells are, and how they are joined."""
        map_ = self._map
        return (
            map_.top + self._rows.start * map_.down, map_.bottom, map_.left, map_.right, map_.down, map_.across,
        )  # fmt: skip

    def _by_definition(self, tile: Tile) -> None:
        whole, key = self._whole, tile.key
        n, m = tile.weights.shape[1:]
        units = np.searchsorted(self._ends, np.arange(tile.query, tile.query + n), side="right") - 1 - self._unit
        a = doubles(tile.weights)
        h, count, tokens = len(a), int(units[-1]) + 1, self._open.shape[1]
        rows = zeros(a, h, count, tokens)
        rows[:, :, key : key + m] = group_sums(a, units, count, 1)
        rows[:, 0] += like(self._open, a)
        self._open[:] = 0
        if self._ends[self._unit + count] > tile.query + n:
            count -= 1
            self._open[:] = as_numbers(rows[:, count])
        if not count:
            return
        lengths = np.maximum(np.diff(self._ends[self._unit : self._unit + count + 1]), 1)
        of = np.searchsorted(whole.firsts, np.arange(tokens), side="right") - 1
        words = group_sums(rows[:, :count], of, len(whole.firsts), 2) / like(lengths, a)[:, None]
        if whole.factors is not None:
            words *= like(whole.factors(self._unit, count, tile.window), a)
        self._read(words, self._unit)

    def _read(self, a: AnyArray, first: int) -> None:
        """Read the weights (h, n, U) of the units from ``first`` on."""
        whole, found = self._whole, self._found
        looks, counts, near, shown, mask = (like(each, a) for each in whole.masks)
        n, m = a.shape[1:]
        units = slice(first, first + n)
        seen = a * counts[:m]
        at, queries = np.arange(m), np.arange(first, first + n)[:, None]
        if not whole.links.itself:
            seen = functions_of(a).where(like(at == queries, a), 0, seen)
        low, high = max(first, self._kept[0]), min(first + n, self._kept[1])
        k = found.weights.shape[2]
        if k and low < high:
            listed = seen[:, low - first : high - first] * looks[low:high, None]
            best, keys = (part.reshape(len(a), high - low, k) for part in _largest(listed.reshape(-1, m), k))
            picked = (best > 0) & (best >= self._floor[:, None, None])
            place = slice(low - self._kept[0], high - self._kept[0])
            found.weights[:, place], found.keys[:, place] = np.where(picked, best, 0), np.where(picked, keys, -1)
        if near.any():
            self._read_bands(seen * near[units, None], abs(queries - at), first)
        self._read_cells(a * mask[:m] * shown[units, None], first)
        if self._whole.usual is not None:
            self._add_usual(a, first)
        slots = self._slots[first - self._first : first - self._first + n]
        asked = np.flatnonzero(slots >= 0)
        if len(asked):
            found.rows[slots[asked]] += as_numbers(a[:, like(asked, a)].sum(0))

    def _add_usual(self, a: AnyArray, first: int) -> None:
        """Add the weights (h, n, U) to what is usual for their heads."""
        n, m = a.shape[1:]
        sums, (slots, keys), low = self._usual, self._whole.chosen, first - self._first
        sums.received[:] += as_numbers(a.sum(1))
        sums.diagonals[:, low : low + n + m - 1] += diagonal_sums(as_numbers(a))
        layer, heads = self._whole.of(self._task).usual, slice(self._task.head, self._task.head + len(a))
        kept = np.flatnonzero(slots[first : first + n] >= 0)
        layer.rows[heads, slots[first + kept]] = as_numbers(a[:, like(kept, a)])
        layer.columns[heads, first : first + n] = as_numbers(a[:, :, like(keys, a)])

    def _read_bands(self, a: AnyArray, apart: Ints, first: int) -> None:
        """Keep the strongest links of each band of the weights (h, n, U), whose ends are ``apart``."""
        whole, m = self._whole, a.shape[2]
        part = whole.new(self._task, len(a), stop=whole.links.first)
        for band, (near, far) in enumerate(pairwise((*whole.links.edges, 1 << 40))):
            inside = like((apart >= near) & (apart < far), a)
            some = functions_of(a).where(inside, a, 0).reshape(len(a), -1)
            best, places = _largest(some, min(whole.links.listed, some.shape[1]))
            count = slice(best.shape[1])
            part.strong[:, band, count] = best
            part.strong_queries[:, band, count] = np.where(best > 0, places // m + first, -1)
            part.strong_keys[:, band, count] = np.where(best > 0, places % m, -1)
        whole.rank(self._found, slice(None), part)

    def _read_cells(self, a: AnyArray, first: int) -> None:
        """Pool the weights (h, n, U) into the cells of the map."""
        cells, (start, stop, left, right, down, across) = self._found.cells, self._bounds
        top, bottom = max(first, start), min(first + a.shape[1], stop)
        if top >= bottom or not cells.size:
            return
        part = a[:, top - first : bottom - first, left:right]
        joined = group_maxima(part, np.arange(right - left) // across, cells.shape[2], 2)
        pooled = group_maxima(joined, np.arange(top - start, bottom - start) // down, cells.shape[1], 1)
        np.maximum(cells, as_numbers(pooled), out=cells)

    def end(self) -> None:
        """Hand on what was read."""
        if self._ends[self._unit] < self._last:
            self._whole.leave(self._task, self._open)
        whole, task, part = self._whole, self._task, self._found
        found, heads = whole.of(task), slice(task.head, task.head + task.heads)
        cells = found.cells[heads, self._rows]
        np.maximum(cells, part.cells, out=cells)
        found.rows[self._averaged] += part.rows
        found.usual.received[heads] += self._usual.received
        size = self._usual.diagonals.shape[1]
        found.usual.diagonals[heads, self._first : self._first + size] += self._usual.diagonals
        whole.merge(task, self._kept[0], part)


def _unit(starts: Ints, token: int) -> int:
    """The unit of a token."""
    return int(np.searchsorted(starts, token, side="right")) - 1


def diagonal_sums(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums of ``a`` (h, n, m) over each diagonal, from that of the last key to that of the last query."""
    h, n, m = a.shape
    sheared = np.zeros((h, n, n + m))
    step = sheared.itemsize
    as_strided(sheared, (h, n, m), (n * (n + m) * step, (n + m + 1) * step, step))[...] = a[:, :, ::-1]
    return np.asarray(sheared[:, :, : n + m - 1].sum(1))


def _largest(a: AnyArray, k: int) -> tuple[NDArray[np.float64], Ints]:
    """The ``k`` largest of each row of ``a`` (r, m) that are above 0, and their places: of equal ones the first.

    Where there are fewer they are 0, and the places, too.
    """
    found = functions_of(a).where((a >= least_of_largest(a, k)) & (a > 0))
    values, rows, places = (as_numbers(part) for part in (a[found], *found))
    order = np.lexsort((places, -values, rows))
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)  # the rows are in order
    order, ranks = order[ranks < k], ranks[ranks < k]
    best, at = np.zeros((len(a), k)), np.zeros((len(a), k), np.int64)
    best[rows[order], ranks], at[rows[order], ranks] = values[order], places[order]
    return best, at
