"""Which word each word looks at most, in every head; of the weights nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.arrays import AnyArray, as_numbers, functions_of, like
from attnviz.attention.observers.reading import Units, task_of
from attnviz.attention.observers.reading_tasks import UnitsOfTask
from attnviz.attention.texts import Bools, Ints
from attnviz.attention.tile import Observer, Task, Tile, require_equal_heads

Places = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Peaks:
    """What each word looks at most.

    Attributes:
        words: the number of the word with its largest weight, itself left out (L, H, W); −1 where it sees no other.
        layers: the model's own numbers of the layers.
    """

    words: Places
    layers: tuple[int, ...]

    @classmethod
    def of(cls, layers: dict[int, Places]) -> Peaks:
        """Those of all ``layers`` by their numbers, (H, W) each.

        Raises:
            UnsupportedModel: the layers have not the same number of heads.
        """
        require_equal_heads(map(len, layers.values()))
        return cls(np.stack([layers[number] for number in sorted(layers)]), tuple(sorted(layers)))


def peaks(a: AnyArray, keys: AnyArray, first: int = 0, *, before: bool = False) -> AnyArray:
    """The place of the largest weight in each row of ``a`` (…, n, W), of the words from ``first`` on; −1 where it is 0.

    Of a word's own weight, and of those of words that are no ``keys`` (…, W), nothing is seen; with ``before`` nor of
    those that come after it.
    """
    xp, (n, m) = functions_of(a), a.shape[-2:]
    at, to = np.arange(first, first + n)[:, None], np.arange(m)
    seen = xp.where(keys[..., None, :] & like(to < at if before else to != at, a), a, 0)
    return xp.where(xp.amax(seen, -1) > 0, xp.argmax(seen, -1), -1)


class PeakUnits(Units):
    """Finds the peaks of one text of any length, tile by tile.

    Args:
        words: the first token of each word.
        keys: which words may be looked at (W,).
        before: whether only words before the one that looks may.
    """

    keeps_links = False

    def __init__(self, words: Sequence[int] | Ints, keys: Bools, *, before: bool = False) -> None:
        super().__init__(words, words)
        self.keys, self.before = keys, before
        self._layers_found: dict[int, Places] = {}

    def tile(self, tile: Tile) -> None:
        """Read a tile."""
        part = _PeaksOfTask(self, task_of(tile))
        part.tile(tile)
        part.end()

    def parts(self, task: Task) -> Iterable[Observer]:
        """Who reads the tiles of a task."""
        return (_PeaksOfTask(self, task),)

    @property
    def peaks(self) -> Peaks:
        """The peaks of all layers."""
        return Peaks.of(self._layers_found)

    def place(self, task: Task) -> Places:
        """The peaks of the heads of a task (h, W), to be filled in."""
        with self._keeping:
            shape = task.shape[0], len(self.units)
            found = self._layers_found.setdefault(task.layer, np.full(shape, -1, np.int32))
        return found[task.head : task.head + task.heads]


class _PeaksOfTask(UnitsOfTask):
    """The peaks of a task."""

    def __init__(self, whole: PeakUnits, task: Task) -> None:
        super().__init__(whole, task)
        self._keys, self._before, self._place = whole.keys, whole.before, whole.place(task)

    def tile(self, tile: Tile) -> None:
        """Read the words that end in a tile."""
        self._by_definition(tile)
        self._pass(tile)

    def _read(self, a: AnyArray, first: int) -> None:
        self._place[:, first : first + a.shape[1]] = as_numbers(
            peaks(a, like(self._keys, a), first, before=self._before)
        )
