"""The observer of links and maps: it reads tiles in the reader's units, each row once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.arrays import is_double
from attnviz.attention.block_sizes import LANES
from attnviz.attention.observers.reading_tasks import UnitsOfTask
from attnviz.attention.observers.selection import (
    NO_MAP,
    NOTHING_USUAL,
    LayerFindings,
    LayerUsual,
    LinkSelection,
    MapSelection,
    UsualSelection,
)
from attnviz.attention.texts import Bools, Ints
from attnviz.attention.tile import Observer, Task, Tile
from attnviz.attention.window import KeyWindow

Masks = tuple[
    NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]
]  # fmt: skip

Factors = Callable[[int, int, KeyWindow], NDArray[np.float64]]


class Units(Observer):
    """Keeps links, maps and averages of a text in units: to a unit the sum over its tokens, from a unit their mean.

    So are word weights defined (Clark et al. 2019). A unit may have no tokens: nothing is found of it.

    Args:
        queries: the first tokens of the units that look, which cut the text without a gap.
        keys: the same of those that are looked at.
        links: which links are kept; None: none are.
        map_: of how many heads which part of the maps is kept; None: none.
        averaged: the units whose rows are averaged over all heads.
        factors: (first unit, how many, the layer's window) → what their weights are multiplied by (n, M); None: 1.
        usual: that what is usual for each head is added up; None: it is not.
        many: there will be many short runs.
        layers: how many layers there will be, if that is known.
    """

    keeps_links = True

    def __init__(
        self,
        queries: Sequence[int] | Ints,
        keys: Sequence[int] | Ints,
        *,
        links: LinkSelection | None = None,
        map_: Callable[[int], MapSelection] | None = None,
        averaged: Sequence[int] = (),
        factors: Factors | None = None,
        usual: UsualSelection | None = None,
        many: bool = False,
        layers: int = 0,
    ) -> None:
        self.units = np.asarray(queries, np.int64)
        self.starts = self.units
        self.many = many
        self.firsts = np.asarray(keys, np.int64)
        self.links = links or LinkSelection(0, stop=0)
        self.map = NO_MAP
        self._map = map_
        self.averaged = np.asarray(averaged, np.int64)
        self.factors = factors
        self.usual = usual
        self.found: dict[int, LayerFindings] = {}
        self.shapes: dict[int, tuple[int, int, int]] = {}
        self._layers = layers
        self._cells: NDArray[np.floating] | None = None
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
        for part in self.parts(task_of(tile)):
            part.tile(tile)
            part.end()

    def parts(self, task: Task) -> Iterable[Observer]:
        """Who reads the tiles of a task."""
        return (UnitsOfTask(self, task),)

    def of(self, task: Task) -> LayerFindings:
        """What was found of the layer of a task."""
        with self._keeping:
            if task.layer not in self.found:
                self.shapes[task.layer] = task.shape
                if self._map:
                    self.map, self._map = self._map(task.shape[0]), None
                stop = None if self.keeps_links else self.links.first
                found = self._placed(task.layer, self.new(task, task.shape[0], stop=stop))
                self.found[task.layer] = replace(found, usual=self.new_usual(task.shape[0], len(self.units)))
            return self.found[task.layer]

    def _placed(self, layer: int, found: LayerFindings) -> LayerFindings:
        """Give the map of a new ``layer`` its place among those of all, so that it is never copied."""
        if not found.cells.size or self.map.layers is not None or layer >= self._layers:
            return found
        if self._cells is None:
            self._cells = np.zeros((self._layers, *found.cells.shape), found.cells.dtype)
        fits = self._cells.shape[1:] == found.cells.shape
        return replace(found, cells=self._cells[layer]) if fits else found

    def cells(self, layers: Sequence[int]) -> NDArray[np.floating]:
        """The maps of some ``layers``, (L, H, rows, columns)."""
        maps = [self.found[layer].cells for layer in layers]
        whole, count = self._cells, len(maps)
        if whole is not None and all(cells.base is whole for cells in maps) and [*layers] == [*range(count)]:
            return whole[:count]
        return np.stack(maps)

    def new(self, task: Task, heads: int, first: int | None = None, stop: int | None = None) -> LayerFindings:
        """What is found where nothing was seen; of the links those of some of the units."""
        links, kind = self.links, np.float64 if task.double else np.float32
        first = links.first if first is None else first
        stop = (len(self.units) if links.stop is None else links.stop) if stop is None else stop
        count = heads, max(0, stop - first), min(links.k, len(self.firsts))
        bands = heads, len(links.edges), links.listed
        return LayerFindings(
            np.zeros(count, kind),
            np.full(count, -1, np.int32),
            np.zeros(bands, kind),
            np.full(bands, -1, np.int32),
            np.full(bands, -1, np.int32),
            np.zeros((heads, *self.map_of(task.layer).shape), kind),
            np.zeros((len(self.averaged), len(self.firsts))),
            NOTHING_USUAL,
        )

    def new_usual(self, heads: int, count: int, *, part: bool = False) -> LayerUsual:
        """What is usual of ``count`` units that look where nothing was seen; of a ``part`` without what is kept."""
        usual, m = self.usual, len(self.firsts)
        if usual is None:
            return LayerUsual(*(np.zeros((heads, *shape)) for shape in ((0,), (0,), (0, 0), (0, 0))))
        rows, columns = (0, 0) if part else (len(usual.from_), len(usual.to))
        shapes = (m,), (max(0, count + m - 1),), (rows, m), (count, columns)
        return LayerUsual(*(np.zeros((heads, *shape)) for shape in shapes))

    def map_of(self, layer: int) -> MapSelection:
        """Which part of the map of a layer is kept."""
        return self.map if self.map.layers is None or layer in self.map.layers else NO_MAP

    def floor(self, task: Task) -> NDArray[np.float32]:
        """Below which weight links of the heads of a task are not kept, (h,)."""
        return np.zeros(task.heads, np.float32)

    def merge(self, task: Task, first: int, part: LayerFindings) -> None:
        """Add what was found of a task, whose links are those of the units from ``first`` on."""
        found, heads = self.of(task), slice(task.head, task.head + task.heads)
        place = slice(first - self.links.first, first - self.links.first + part.weights.shape[1])
        found.weights[heads, place], found.keys[heads, place] = part.weights, part.keys
        self.rank(found, heads, part)

    def rank(self, found: LayerFindings, heads: slice, part: LayerFindings) -> None:
        """Keep the strongest links of each band, of those that were kept and those of a part."""
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
    def chosen(self) -> tuple[Ints, Ints]:
        """The row that is kept of each unit that looks, −1 for none (N,); and the keys whose columns are kept."""
        slots = np.full(len(self.units), -1)
        if self.usual is None:
            return slots, np.zeros(0, np.int64)
        slots[np.asarray(self.usual.from_, np.int64)] = np.arange(len(self.usual.from_))
        return slots, np.asarray(self.usual.to, np.int64)

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


def task_of(tile: Tile) -> Task:
    """The task that a tile is by itself."""
    h, n, _ = tile.weights.shape
    given = tile.layer, tile.kind, tile.shape, tile.window, tile.first, tile.head, h, tile.query, tile.query + n
    return Task(*given, double=is_double(tile.weights))


def _and(mask: Bools, other: Bools | None) -> Bools:
    return mask if other is None else mask & other


def _of_keys(mask: Bools | None, count: int) -> NDArray[np.float32]:
    """1 for each unit that is looked at, with room for whole vectors behind them."""
    return np.append(np.ones(count) if mask is None else mask, np.zeros(LANES)).astype(np.float32)
