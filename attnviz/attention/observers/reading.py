"""The observer of links and maps: it reads tiles in the reader's units, each row once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from threading import Lock
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnviz.attention.block_sizes import LANES
from attnviz.attention.sums import Bools, Floats, Ints
from attnviz.attention.tile import Observer, Task, Tile, find_loops

COMPILED = "attnviz.attention.compiled.units"
Masks = tuple[
    NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Links:
    """Which links are kept: of each query the ``k`` strongest, and ``listed`` of each band of distances.

    Args:
        k: how many of each unit that looks.
        queries: the units whose links are kept (N,); None is all.
        keys: the units that are looked at (M,); None is all.
        itself: the unit of a query's own number is looked at, too.
        first: the first unit whose links are kept, and ``stop`` the end; None is the end of the text.
        edges: where the bands of distances begin, in units to either side; the last has no end.
        listed: how many of each band.
        near: the units that look in the bands (N,); None is ``queries``.
    """

    k: int
    queries: Bools | None = None
    keys: Bools | None = None
    itself: bool = True
    first: int = 0
    stop: int | None = None
    edges: tuple[int, ...] = ()
    listed: int = 0
    near: Bools | None = None


@dataclass(frozen=True, eq=False)
class Map:
    """Which part of the maps is kept: the units from ``top`` to ``bottom`` and from ``left`` to ``right``.

    A cell is the largest weight of ``down`` × ``across`` units that look and are looked at (N,), (M,); None is all.
    ``layers`` are those that have a map; None is all.
    """

    top: int
    bottom: int
    left: int
    right: int
    down: int = 1
    across: int = 1
    queries: Bools | None = None
    keys: Bools | None = None
    layers: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns of cells there are."""
        return -(-(self.bottom - self.top) // self.down), -(-(self.right - self.left) // self.across)


_NONE = Map(0, 0, 0, 0)


def step(size: int, most: int) -> int:
    """How many of ``size`` units a cell joins so that there are at most ``most`` cells: powers of 2, or many 64."""
    wanted = -(-size // most)
    return -(-wanted // 64) * 64 if wanted > 64 else 1 << max(0, wanted - 1).bit_length()


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of a layer.

    Attributes:
        weights: the strongest links of each unit, in order, 0 where there are fewer (H, n, k).
        keys: whom they look at, −1 where there are fewer.
        strong: the strongest of each band (H, bands, listed); with ``strong_queries`` and ``strong_keys``.
        cells: the map (H, rows, columns).
        rows: the sums over the heads of the rows that are averaged (rows, M).
    """

    weights: Floats
    keys: NDArray[np.int32]
    strong: Floats
    strong_queries: NDArray[np.int32]
    strong_keys: NDArray[np.int32]
    cells: Floats
    rows: NDArray[np.float64]


class Units(Observer):
    """Keeps links, maps and averages of a text in units: to a unit the sum over its tokens, from a unit their mean.

    So are word weights defined (Clark et al. 2019).

    Args:
        queries: the first tokens of the units that look, which cut the text without a gap.
        keys: the same of those that are looked at.
        links: which links are kept; None: none are.
        map_: of how many heads which part of the maps is kept; None: none.
        averaged: the units whose rows are averaged over all heads.
        many: there will be many short runs.
    """

    keeps_links = True

    def __init__(
        self,
        queries: Sequence[int] | Ints,
        keys: Sequence[int] | Ints,
        *,
        links: Links | None = None,
        map_: Callable[[int], Map] | None = None,
        averaged: Sequence[int] = (),
        many: bool = False,
    ) -> None:
        self.units = np.asarray(queries, np.int64)
        self.starts = self.units
        self.many = many
        self.firsts = np.asarray(keys, np.int64)
        self.links = links or Links(0, stop=0)
        self.map = _NONE
        self._map = map_
        self.averaged = np.asarray(averaged, np.int64)
        self.found: dict[int, Found] = {}
        self.shapes: dict[int, tuple[int, int, int]] = {}
        self._open: dict[tuple[int, int], NDArray[np.float64]] = {}
        self._keeping = Lock()

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self.found))

    @property
    def average(self) -> NDArray[np.float32]:
        """The rows that are averaged, (rows, M)."""
        heads = sum(heads for heads, _, _ in self.shapes.values())
        rows = np.sum([found.rows for found in self.found.values()], axis=0) / heads
        return np.asarray(rows[self.slots[self.averaged]], np.float32)

    def tile(self, tile: Tile) -> None:
        """Read a tile, as the definitions say."""
        part = _Part(self, _task(tile))
        part.tile(tile)
        part.end()

    def parts(self, task: Task) -> Iterable[Observer]:
        """Who reads the tiles of a task."""
        return (_Part(self, task),)

    def of(self, task: Task) -> Found:
        """What was found of the layer of a task."""
        with self._keeping:
            if task.layer not in self.found:
                self.shapes[task.layer] = task.shape
                if self._map:
                    self.map, self._map = self._map(task.shape[0]), None
                stop = None if self.keeps_links else self.links.first
                self.found[task.layer] = self.new(task, task.shape[0], stop=stop)
            return self.found[task.layer]

    def new(self, task: Task, heads: int, first: int | None = None, stop: int | None = None) -> Found:
        """What is found where nothing was seen; of the links those of some of the units."""
        links, kind = self.links, np.float64 if task.dtype is torch.float64 else np.float32
        first = links.first if first is None else first
        stop = (len(self.units) if links.stop is None else links.stop) if stop is None else stop
        count = heads, max(0, stop - first), min(links.k, len(self.firsts))
        bands = heads, len(links.edges), links.listed
        return Found(
            np.zeros(count, kind),
            np.full(count, -1, np.int32),
            np.zeros(bands, kind),
            np.full(bands, -1, np.int32),
            np.full(bands, -1, np.int32),
            np.zeros((heads, *self.map_of(task.layer).shape), kind),
            np.zeros((len(self.averaged), len(self.firsts))),
        )

    def map_of(self, layer: int) -> Map:
        """Which part of the map of a layer is kept."""
        return self.map if self.map.layers is None or layer in self.map.layers else _NONE

    def floor(self, task: Task) -> NDArray[np.float32]:
        """Below which weight links of the heads of a task are not kept, (h,)."""
        return np.zeros(task.heads, np.float32)

    def merge(self, task: Task, first: int, part: Found) -> None:
        """Add what was found of a task, whose links are those of the units from ``first`` on."""
        found, heads = self.of(task), slice(task.head, task.head + task.heads)
        place = slice(first - self.links.first, first - self.links.first + part.weights.shape[1])
        found.weights[heads, place], found.keys[heads, place] = part.weights, part.keys
        self._rank(found, heads, part)

    def _rank(self, found: Found, heads: slice, part: Found) -> None:
        """Keep the strongest links of each band of those that there were and of others."""
        if not part.strong.size:
            return
        names = ("strong", "strong_queries", "strong_keys")
        both = [np.concatenate((getattr(found, name)[heads], getattr(part, name)), axis=-1) for name in names]
        order = np.argsort(-both[0], axis=-1, kind="stable")[..., : self.links.listed]
        for name, values in zip(names, both, strict=True):
            getattr(found, name)[heads] = np.take_along_axis(values, order, axis=-1)

    def open(self, task: Task) -> NDArray[np.float64]:
        """The sums so far of the unit in which a task begins, where what was seen before has ended in it (h, M)."""
        rows = [self._open.pop((task.layer, task.head + i), None) for i in range(task.heads)]
        if rows[0] is None:
            return np.zeros((task.heads, self.tokens(task)))
        return np.stack([row for row in rows if row is not None])

    def leave(self, task: Task, rows: NDArray[np.float64]) -> None:
        """Keep the sums of the unit in which a task has ended."""
        self._open |= {(task.layer, task.head + i): row for i, row in enumerate(rows)}

    @staticmethod
    def tokens(task: Task) -> int:
        """How many keys there are."""
        return task.shape[2]

    @cached_property
    def masks(self) -> Masks:
        """Which units look and are looked at in links, look in the bands, and look and are looked at in maps."""
        n, m, links, map_ = len(self.units), len(self.firsts), self.links, self.map
        inside = np.zeros(n, np.bool_)
        inside[links.first : links.stop] = links.k > 0
        near = np.full(n, len(links.edges) > 0 and links.listed > 0)
        return (
            _and(inside, links.queries).astype(np.uint8),
            _of_keys(links.keys, m),
            _and(near, links.queries if links.near is None else links.near).astype(np.uint8),
            _and(np.ones(n, np.bool_), map_.queries).astype(np.uint8),
            _of_keys(map_.keys, m),
        )

    @cached_property
    def slots(self) -> Ints:
        """The row of the average of each unit that looks, −1 for none (N,)."""
        slots = np.full(len(self.units), -1)
        slots[self.averaged] = np.arange(len(self.averaged))
        return slots

    @cached_property
    def columns(self) -> tuple[Ints, Ints, Ints, Ints]:
        """What the compiled pass reads of the keys, as it says."""
        tokens = next(iter(self.shapes.values()))[2]
        begins = np.zeros(tokens, np.int64)
        begins[self.firsts] = 1
        return (
            np.append(self.firsts, tokens),
            begins.cumsum() - 1,
            np.flatnonzero(begins == 0),
            np.append(0, (1 - begins).cumsum()),
        )


class _Part(Observer):
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
        loops = find_loops(COMPILED) if self._task.compiled else None
        if loops is None:
            self._by_torch(tile)
        else:
            self._compiled(loops, tile)
        self._last = tile.query + tile.weights.shape[1]
        self._unit = _unit(self._ends, self._last)

    def _compiled(self, loops: ModuleType, tile: Tile) -> None:
        whole, found, weights = self._whole, self._found, tile.weights
        h, n, m = weights.shape
        looks, counts, near, shown, mask = whole.masks
        rows = torch.as_strided(weights, ((h - 1) * weights.stride(0) + (n - 1) * weights.stride(1) + m,), (1,))
        loops.read(
            rows.numpy(), (h, n, m, weights.stride(0), weights.stride(1)), (tile.query, tile.key), tile.window.ends,
            (self._ends, self._unit), whole.columns, self._open,
            (looks, counts, whole.links.itself, self._kept[0], self._floor, found.weights, found.keys),
            (near, np.array(whole.links.edges, np.int64), found.strong, found.strong_queries, found.strong_keys),
            (shown, mask, *self._bounds, found.cells), (self._slots, self._first, found.rows),
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
        lengths = np.diff(self._ends[self._unit : self._unit + count + 1])
        of = np.searchsorted(whole.firsts, np.arange(rows.shape[2]), side="right") - 1
        words = a.new_zeros(h, count, len(whole.firsts)).index_add_(
            2, torch.from_numpy(of).to(a.device), rows[:, :count]
        )
        words /= torch.from_numpy(lengths).to(words)[:, None]
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
        whole._rank(self._found, slice(None), part)

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


def _task(tile: Tile) -> Task:
    """The task that a tile is by itself."""
    h, n, _ = tile.weights.shape
    given = tile.layer, tile.kind, tile.shape, tile.window, tile.first, tile.head, h, tile.query, tile.query + n
    return Task(*given, dtype=tile.weights.dtype)


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


def _and(mask: Bools, other: Bools | None) -> Bools:
    return mask if other is None else mask & other


def _of_keys(mask: Bools | None, count: int) -> NDArray[np.float32]:
    """1 for each unit that is looked at, with room for whole vectors behind them."""
    return np.append(np.ones(count) if mask is None else mask, np.zeros(LANES)).astype(np.float32)
