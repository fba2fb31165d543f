"""The observer of what is usual for a head: what a key gets and what stands at a distance, beside chosen weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from attnviz.attention.arrays import AnyArray, as_numbers, like
from attnviz.attention.observers.reading import Units, task_of
from attnviz.attention.observers.reading_tasks import UnitsOfTask
from attnviz.attention.texts import Ints
from attnviz.attention.tile import Observer, Task, Tile

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerUsual:
    """What was added up of a layer, in units.

    Attributes:
        received: what each key gets from all queries, (H, m).
        diagonals: the weights at each distance query − key, from 1 − m to n − 1, added up, (H, n + m − 1).
        rows: the weights of the chosen queries, (H, queries, m).
        columns: the weights of the chosen keys, (H, n, keys).
    """

    received: Doubles
    diagonals: Doubles
    rows: Doubles
    columns: Doubles


class UsualWeights(Units):
    """Adds up, of each head, what each key gets and what stands at each distance; nothing N × N is kept.

    Args:
        queries, keys: as of ``Units``.
        from_: the units whose rows are kept.
        to: the units whose columns are kept.
        many: there will be many short runs.
    """

    def __init__(
        self,
        queries: Sequence[int] | Ints,
        keys: Sequence[int] | Ints,
        *,
        from_: Sequence[int] = (),
        to: Sequence[int] = (),
        many: bool = False,
    ) -> None:
        super().__init__(queries, keys, many=many)
        self.from_, self.to = np.asarray(from_, np.intp), np.asarray(to, np.intp)
        self.sums: dict[int, LayerUsual] = {}

    def tile(self, tile: Tile) -> None:
        """Read a tile."""
        part = _UsualOfTask(self, task_of(tile))
        part.tile(tile)
        part.end()

    def parts(self, task: Task) -> Iterable[Observer]:
        """Who reads the tiles of a task."""
        return (_UsualOfTask(self, task),)

    def sums_of(self, task: Task) -> LayerUsual:
        """The sums of the layer of a task."""
        with self._keeping:
            if task.layer not in self.sums:
                h, n, m = task.shape[0], len(self.units), len(self.firsts)
                shapes = (h, m), (h, n + m - 1), (h, len(self.from_), m), (h, n, len(self.to))
                self.sums[task.layer] = LayerUsual(*map(np.zeros, shapes))
            return self.sums[task.layer]


class _UsualOfTask(UnitsOfTask):
    """What is added up of a task."""

    def __init__(self, whole: UsualWeights, task: Task) -> None:
        super().__init__(whole, task)
        self._sums, self._task = whole.sums_of(task), task
        self._from, self._to = whole.from_, whole.to
        count, last = len(whole.firsts), self._ends.searchsorted(task.stop, side="left") - self._unit
        self._received = np.zeros((task.heads, count))
        self._diagonals = np.zeros((task.heads, max(int(last), 0) + count - 1))

    def tile(self, tile: Tile) -> None:
        """Read the units that end in a tile."""
        self._by_definition(tile)
        self._pass(tile)

    def _read(self, a: AnyArray, first: int) -> None:
        n, m = a.shape[1:]
        self._received += as_numbers(a.sum(1))
        low = first - self._first
        self._diagonals[:, low : low + n + m - 1] += _diagonal_sums(as_numbers(a))
        heads = slice(self._task.head, self._task.head + len(a))
        inside = np.flatnonzero((self._from >= first) & (self._from < first + n))
        self._sums.rows[heads, inside] = as_numbers(a[:, like(self._from[inside] - first, a)])
        if len(self._to):
            self._sums.columns[heads, first : first + n] = as_numbers(a[:, :, like(self._to, a)])

    def end(self) -> None:
        """Hand on what was added up."""
        super().end()
        heads = slice(self._task.head, self._task.head + self._task.heads)
        self._sums.received[heads] += self._received
        place = slice(self._first, self._first + self._diagonals.shape[1])
        self._sums.diagonals[heads, place] += self._diagonals[:, : self._sums.diagonals.shape[1] - self._first]


def _diagonal_sums(a: Doubles) -> Doubles:
    """The sums of ``a`` (h, n, m) over each diagonal, from that of the last key to that of the last query."""
    h, n, m = a.shape
    sheared = np.zeros((h, n, n + m))
    step = sheared.itemsize
    as_strided(sheared, (h, n, m), (n * (n + m) * step, (n + m + 1) * step, step))[...] = a[:, :, ::-1]
    return np.asarray(sheared[:, :, : n + m - 1].sum(1))
