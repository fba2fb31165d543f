"""What the observer of links and maps reads of one task: the definitions in torch, and their compiled pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
        self._floor = whole.floor(task)
        self._open = whole.open(task)
        self._ends = np.append(whole.units, task.shape[1])
        self._last = task.start

    def tile(self, tile: Tile) -> None:
        """Read the units that end in a tile."""
        compiled = self._task.compiled and self._whole.factors is None
        loops = find_loops(COMPILED) if compiled else None
        if loops is None or not self._compiled(loops, tile):
            self._by_torch(tile)
        self._last = tile.query + tile.weights.shape[1]
        self._unit = _unit(self._ends, self._last)

    def _compiled(self, loops: ModuleType, tile: Tile) -> bool:
        """Read a tile in one compiled pass; return False if that is not compiled yet and may not be."""
        whole, found, weights = self._whole, self._found, tile.weights
        h, n, m = weights.shape
        looks, counts, near, shown, mask = whole.masks
        rows = torch.as_strided(weights, ((h - 1) * weights.stride(0) + (n - 1) * weights.stride(1) + m,), (1,))
        return run_loop(
            loops.read_units,
            rows.numpy(), (h, n, m, weights.stride(0), weights.stride(1)), (tile.query, tile.key), tile.window.ends,
            (self._ends, self._unit), whole.columns, self._open,
            (looks, counts, whole.links.itself, self._kept[0], self._floor, found.weights, found.keys),
            (near, np.array(whole.links.edges, np.int64), found.strong, found.strong_queries, found.strong_keys),
            (shown, mask, *self._bounds, found.cells), (self._slots, self._first, found.rows),
            compiling=self._task.compiling,
        )  # fmt: skip

    @property
    def _bounds(self) -> tuple[int, ...]:
        """Which part of the map the rows of cells are, and how they are joined."""
        map_ = self._map
        return (
            map_.top + self._rows.start * map_.down, map_.bottom, map_.left, map_.right, map_.down, map_.across,
        )  # fmt: skip

    def _by_torch(self, tile: Tile) -> None:
        whole, key = self._whole, tile.key
        h, n, m = tile.weights.shape
        units = np.searchsorted(self._ends, np.arange(tile.query, tile.query + n), side="right") - 1 - self._unit
        a = tile.weights.double() if tile.weights.device.type != "mps" else tile.weights.cpu().double()
        rows = a.new_zeros(h, int(units[-1]) + 1, self._open.shape[1])
        rows[:, :, key : key + m].index_add_(1, torch.from_numpy(units).to(a.device), a)
        rows[:, 0] += torch.from_numpy(self._open).to(rows)
        self._open[:] = 0
        count = rows.shape[1]
        if self._ends[self._unit + count] > tile.query + n:
            count -= 1
            self._open[:] = rows[:, count].cpu().numpy()
        if not count:
            return
        lengths = np.maximum(np.diff(self._ends[self._unit : self._unit + count + 1]), 1)
        of = np.searchsorted(whole.firsts, np.arange(rows.shape[2]), side="right") - 1
        words = a.new_zeros(h, count, len(whole.firsts)).index_add_(
            2, torch.from_numpy(of).to(a.device), rows[:, :count]
        )
        words /= torch.from_numpy(lengths).to(words)[:, None]
        if whole.factors is not None:
            words *= torch.from_numpy(whole.factors(self._unit, count, tile.window)).to(words)
        self._read(words, self._unit)

    def _read(self, a: Tensor, first: int) -> None:
        """Read the weights (h, n, U) of the units from ``first`` on."""
        whole, found = self._whole, self._found
        looks, counts, near, shown, mask = (torch.from_numpy(each).to(a.device) for each in whole.masks)
        n, m = a.shape[1:]
        units = slice(first, first + n)
        seen = a * counts[:m].to(a)
        at = torch.arange(m, device=a.device)
        queries = torch.arange(first, first + n, device=a.device)[:, None]
        if not whole.links.itself:
            seen = torch.where(at == queries, 0, seen)
        low, high = max(first, self._kept[0]), min(first + n, self._kept[1])
        k = found.weights.shape[2]
        if k and low < high:
            listed = seen[:, low - first : high - first] * looks[low:high, None]
            best, keys = (part.reshape(len(a), high - low, k) for part in _largest(listed.flatten(0, 1), k))
            picked = (best > 0) & (best >= self._floor[:, None, None])
            place = slice(low - self._kept[0], high - self._kept[0])
            found.weights[:, place], found.keys[:, place] = np.where(picked, best, 0), np.where(picked, keys, -1)
        if near.any():
            self._read_bands(seen * near[units, None], (queries - at).abs(), first)
        self._read_cells(a * mask[:m].to(a) * shown[units, None], first)
        slots = self._slots[first - self._first : first - self._first + n]
        asked = np.flatnonzero(slots >= 0)
        if len(asked):
            found.rows[slots[asked]] += a[:, torch.from_numpy(asked).to(a.device)].sum(0).cpu().numpy()

    def _read_bands(self, a: Tensor, apart: Tensor, first: int) -> None:
        """Keep the strongest links of each band of the weights (h, n, U), whose ends are ``apart``."""
        whole, m = self._whole, a.shape[2]
        part = whole.new(self._task, len(a), stop=whole.links.first)
        for band, (near, far) in enumerate(pairwise((*whole.links.edges, 1 << 40))):
            inside = torch.where((apart >= near) & (apart < far), a, 0).flatten(1)
            best, places = _largest(inside, min(whole.links.listed, inside.shape[1]))
            count = slice(best.shape[1])
            part.strong[:, band, count] = best
            part.strong_queries[:, band, count] = np.where(best > 0, places // m + first, -1)
            part.strong_keys[:, band, count] = np.where(best > 0, places % m, -1)
        whole.rank(self._found, slice(None), part)

    def _read_cells(self, a: Tensor, first: int) -> None:
        """Pool the weights (h, n, U) into the cells of the map."""
        cells, (start, stop, left, right, down, across) = self._found.cells, self._bounds
        top, bottom = max(first, start), min(first + a.shape[1], stop)
        if top >= bottom or not cells.size:
            return
        part = a[:, top - first : bottom - first, left:right]
        rows = torch.arange(top - start, bottom - start, device=a.device) // down
        columns = torch.arange(part.shape[2], device=a.device) // across
        joined = a.new_zeros(len(a), part.shape[1], cells.shape[2])
        joined.scatter_reduce_(2, columns.expand_as(part), part, "amax")
        pooled = a.new_zeros(cells.shape).scatter_reduce_(1, rows[None, :, None].expand_as(joined), joined, "amax")
        np.maximum(cells, pooled.cpu().numpy(), out=cells)

    def end(self) -> None:
        """Hand on what was read."""
        if self._ends[self._unit] < self._last:
            self._whole.leave(self._task, self._open)
        whole, task, part = self._whole, self._task, self._found
        found, heads = whole.of(task), slice(task.head, task.head + task.heads)
        cells = found.cells[heads, self._rows]
        np.maximum(cells, part.cells, out=cells)
        found.rows[self._averaged] += part.rows
        whole.merge(task, self._kept[0], part)


def _unit(starts: Ints, token: int) -> int:
    """The unit of a token."""
    return int(np.searchsorted(starts, token, side="right")) - 1


def _largest(a: Tensor, k: int) -> tuple[NDArray[np.float64], Ints]:
    """The ``k`` largest of each row of ``a`` (r, m) that are above 0, and their places: of equal ones the first.

    Where there are fewer they are 0, and the places, too.
    """
    least = a.topk(k, sorted=True).values[:, -1:]
    found = torch.nonzero((a >= least) & (a > 0), as_tuple=True)
    values, (rows, places) = a[found].cpu().numpy(), (part.cpu().numpy() for part in found)
    order = np.lexsort((places, -values, rows))
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)  # the rows are in order
    order, ranks = order[ranks < k], ranks[ranks < k]
    best, at = np.zeros((len(a), k)), np.zeros((len(a), k), np.int64)
    best[rows[order], ranks], at[rows[order], ranks] = values[order], places[order]
    return best, at
