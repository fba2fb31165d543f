"""The observer of links and maps that also keeps some squares of each map as they are, not pooled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnviz.attention.arrays import AnyArray, as_numbers, copied, group_sums
from attnviz.attention.observers.reading import Units
from attnviz.attention.observers.reading_tasks import UnitsOfTask
from attnviz.attention.texts import Floats
from attnviz.attention.tile import Observer, Task, Tile

SIDE = 32
"""The most units of a region across and down."""


@dataclass(frozen=True, eq=False)
class Found:
    """A region of one head: its weights (n, m) from the unit ``query`` and to the unit ``key`` on.

    ``strength`` is that of its strongest link.
    """

    strength: float
    query: int
    key: int
    weights: Floats

    @property
    def rank(self) -> tuple[float, int, int]:
        """The strongest comes first; of equal ones the first of the text."""
        return -self.strength, self.query, self.key


class UnitsAndRegions(Units):
    """``Units`` that keep of each head the ``regions`` squares, of ``SIDE`` units, in which its strongest links are.

    A link is one of those that are kept of each unit, so that what does not count makes no region. Squares begin at
    multiples of ``SIDE``; where a text is read in windows, one that two windows share is two regions. Memory:
    L·H·regions·SIDE² numbers, and in each thread the rows of one tile.
    """

    def __init__(self, *args: Any, regions: int, **given: Any) -> None:
        super().__init__(*args, **given)
        self.regions = regions
        self.starts = self.units[::SIDE]
        self.squares: dict[tuple[int, int], list[Found]] = {}

    def parts(self, task: Task) -> Iterable[Observer]:
        """Who reads the tiles of a task."""
        return (RegionsOfTask(self, task),)

    def kept(self, layer: int, head: int) -> list[Found]:
        """The regions of a head so far, the strongest first."""
        return self.squares.setdefault((layer, head), [])

    def keep(self, layer: int, head: int, found: list[Found]) -> None:
        """Keep the strongest of what was kept and ``found`` of a head."""
        both = sorted([*self.kept(layer, head), *found], key=lambda each: each.rank)
        self.squares[layer, head] = both[: self.regions]


class RegionsOfTask(UnitsOfTask):
    """Reads a task as ``UnitsOfTask`` does, and when all rows of a band of ``SIDE`` units have passed, its squares."""

    def __init__(self, whole: UnitsAndRegions, task: Task) -> None:
        super().__init__(whole, task)
        self._regions = whole
        self._held: list[tuple[int, int, AnyArray]] = []
        # The unit in which a task begins may have begun before it.
        self._band = self._unit + bool(self._ends[self._unit] < task.start)
        self._squares: list[list[Found]] = [[] for _ in range(task.heads)]

    def tile(self, tile: Tile) -> None:
        """Read the units, and then the squares, that end in a tile; its rows of others are held till the next."""
        super().tile(tile)
        self._held.append((tile.query, tile.key, tile.weights))
        last = self._unit
        while self._band < last:
            stop = min((self._band // SIDE + 1) * SIDE, last)
            if stop % SIDE and self._last < self._task.stop:
                break
            self._read_band(self._band, stop, tile)
            self._band = stop
        first = int(self._ends[min(self._band, len(self._ends) - 1)])
        self._held = [each for each in self._held if each[0] + each[2].shape[1] > first]
        if self._held and self._held[-1][2] is tile.weights:  # which the kernel overwrites
            skipped = max(0, first - tile.query)
            self._held[-1] = tile.query + skipped, tile.key, copied(tile.weights[:, skipped:])

    def _read_band(self, start: int, stop: int, tile: Tile) -> None:
        """Keep the squares of the units from ``start`` to ``stop`` that are among the strongest of their head."""
        low, high = (max(self._kept[0], min(unit, self._kept[1])) - self._kept[0] for unit in (start, stop))
        weights, keys = self._found.weights[:, low:high], self._found.keys[:, low:high]
        strongest = weights.max(axis=(1, 2), initial=0)
        for head in np.flatnonzero(strongest > 0).tolist():
            least = self._least(head)
            if strongest[head] < least:
                continue
            blocks = keys[head] // SIDE
            for block in np.unique(blocks[(weights[head] >= least) & (keys[head] >= 0)]).tolist():
                strength = float(weights[head][blocks == block].max())
                square = self._square(head, (start, stop), block * SIDE, tile)
                self._squares[head].append(Found(strength, start, block * SIDE, square))
            self._squares[head] = sorted(self._squares[head], key=lambda each: each.rank)[: self._regions.regions]

    def _least(self, head: int) -> float:
        """What a square must have to be kept of a head of the task."""
        count = self._regions.regions
        known = self._regions.kept(self._task.layer, self._task.head + head), self._squares[head]
        return max([found[count - 1].strength for found in known if len(found) >= count], default=1e-9)

    def _square(self, head: int, queries: tuple[int, int], first: int, tile: Tile) -> Floats:
        """The weights of a head from some units to those from ``first`` on, as ``Units`` defines them."""
        whole, ends = self._regions, self._ends
        last = min(first + SIDE, len(whole.firsts))
        tokens = int(whole.columns[0][first]), int(whole.columns[0][last])
        rows = np.zeros((int(ends[queries[1]] - ends[queries[0]]), int(tokens[1] - tokens[0])))
        for query, key, held in self._held:
            down = max(query, int(ends[queries[0]])), min(query + held.shape[1], int(ends[queries[1]]))
            across = max(key, tokens[0]), min(key + held.shape[2], tokens[1])
            if down[0] < down[1] and across[0] < across[1]:
                part = held[head, down[0] - query : down[1] - query, across[0] - key : across[1] - key]
                place = slice(down[0] - ends[queries[0]], down[1] - ends[queries[0]])
                rows[place, across[0] - tokens[0] : across[1] - tokens[0]] = as_numbers(part)
        of_keys = np.searchsorted(whole.firsts, np.arange(*tokens), side="right") - 1 - first
        of_queries = np.searchsorted(ends, np.arange(*ends[list(queries)]), side="right") - 1 - queries[0]
        sums = group_sums(group_sums(rows, of_keys, last - first, 1), of_queries, queries[1] - queries[0], 0)
        sums /= np.maximum(np.diff(ends[queries[0] : queries[1] + 1]), 1)[:, None]
        if whole.factors is not None:
            sums *= whole.factors(queries[0], queries[1] - queries[0], tile.window)[:, first:last]
        return np.asarray(sums, np.float32)

    def end(self) -> None:
        """Hand on what was read."""
        super().end()
        for head, found in enumerate(self._squares):
            self._regions.keep(self._task.layer, self._task.head + head, found)
