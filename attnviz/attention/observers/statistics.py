"""The observer of figures: it adds up, for each layer, the sums from which all figures of heads are computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.arrays import sink_scores
from attnviz.attention.block_sizes import LANES
from attnviz.attention.figures import Figures, figures, profile
from attnviz.attention.sums import Sums, add, add_received, shares_of_spread
from attnviz.attention.texts import Texts
from attnviz.attention.tile import PASSES, Observer, Task, Tile, find_loops, require_equal_heads, run_loop

if TYPE_CHECKING:
    from torch import Tensor


class HeadSums(Observer):
    """Adds up the sums from which all figures are computed, and what each key receives: L·H·(4·N + M) numbers.

    Args:
        texts: the one text, and what counts in it; None if all queries count.
        firsts: whether to keep each query's weight on the first key, which ``profile`` needs.
        many: whether there will be many short runs.
    """

    def __init__(self, texts: Texts | None = None, *, firsts: bool = False, many: bool = False) -> None:
        self.many = many
        self._texts, self._firsts = texts, firsts
        self._sums: dict[int, tuple[Sums, Texts]] = {}
        self._adding = Lock()

    def tile(self, tile: Tile) -> None:
        """Add the tile by the definition in ``sums``."""
        sums, texts = self.of(tile)
        add(sums, texts, tile.weights[None], tile.window, head=tile.head, query=tile.query, key=tile.key)

    def parts(self, task: Task) -> Iterable[Observer]:
        """The part that adds up the tiles of a task."""
        return (_Part(self, task),)

    def of(self, seen: Tile | Task) -> tuple[Sums, Texts]:
        """The sums of a layer, and its text."""
        with self._adding:
            if seen.layer not in self._sums:
                heads, queries, keys = seen.shape
                texts = self._texts or Texts.one(queries, keys, causal=seen.window.right == 0)
                texts = texts if texts.first == seen.first else replace(texts, first=seen.first)
                self._sums[seen.layer] = Sums.new(heads, texts, firsts=self._firsts), texts
            return self._sums[seen.layer]

    def merge(self, task: Task, part: Sums) -> None:
        """Add the sums of a ``task``."""
        sums, _ = self.of(task)
        heads = slice(task.head, task.head + task.heads)
        for name in ("scalars", "received", "own", "firsts", "diagonals", "counts"):
            whole = getattr(sums, name)[heads]
            whole += getattr(part, name)

    @property
    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._sums))

    @property
    def sums(self) -> Mapping[int, tuple[Sums, Texts]]:
        """The sums of each layer, with its text."""
        return self._sums

    @property
    def figures(self) -> Figures:
        """All figures by name, (L, H) each."""
        found = [figures(*self._sums[number]) for number in self.layers]
        require_equal_heads(len(self._sums[number][0].scalars) for number in self.layers)
        return {name: np.stack([layer[name][:, 0] for layer in found]) for name in found[0]}

    @property
    def profile(self) -> NDArray[np.float64]:
        """The share of attention by distance (L, H, 1 + EDGES), if ``firsts`` were kept."""
        return np.stack([profile(*self._sums[number]) for number in self.layers])

    def received(self, *, others: bool = False) -> NDArray[np.float64]:
        """What each key receives (L, H, M); with ``others``, without the queries of its own passage."""
        sums = [self._sums[number][0] for number in self.layers]
        own = [layer.own if others and layer.own.shape[1] else 0 for layer in sums]
        return np.stack([(layer.received - some).clip(min=0) for layer, some in zip(sums, own, strict=True)])


class Received(HeadSums):
    """Adds up what each key receives, and nothing else: there are no figures of it."""

    def tile(self, tile: Tile) -> None:
        """Add the tile by the definition in ``sums``."""
        sums, texts = self.of(tile)
        add_received(sums, texts, tile.weights, head=tile.head, query=tile.query, key=tile.key)

    def parts(self, task: Task) -> Iterable[Observer]:
        """The part that adds up the tiles of a task."""
        return (_ReceivedPart(self, task),)


class _Part(Observer):
    """Adds up the tiles of a task."""

    own = True

    def __init__(self, whole: HeadSums, task: Task) -> None:
        self._whole, self._task = whole, task
        sums, self._texts = whole.of(task)
        self._sums = Sums.new(task.heads, self._texts, firsts=sums.firsts.shape[1] > 0)

    def tile(self, tile: Tile) -> None:
        """Add a tile by the definition in ``sums``."""
        add(self._sums, self._texts, tile.weights[None], tile.window, query=tile.query, key=tile.key)

    def weigh(self, tile: Tile, scores: Tensor, sinks: Tensor | None) -> bool:
        """Add a tile while its scores become weights, in one compiled pass."""
        passes = find_loops(PASSES)
        if passes is None:
            return False
        (h, n, m), texts, sums = tile.weights.shape, self._texts, self._sums
        width, low = tile.weights.stride(1), tile.key
        received, own = (np.zeros((h, size), np.float32) for size in (width, width if texts.passages else 0))
        diagonals = np.zeros((h, n + width + LANES), np.float32)
        given = sink_scores(sinks, h)
        zero = int(texts.zeros[0])
        if not run_loop(
            passes.weigh, scores.numpy(), (h, n, m, width), tile.window.ends, (tile.query, low, tile.own), given,
            (shares_of_spread(texts, tile.window), texts.flags, texts.earlier, *texts.own, texts.inside[low:]),
            sums.scalars[:, 0], (received, own, sums.firsts),
            (diagonals, sums.counts, zero), compiling=self._task.compiling,
        ):  # fmt: skip
            return False
        sums.received[:, low : low + m] += received[:, :m]
        if texts.passages:
            sums.own[:, low : low + m] += own[:, :m]
        start = zero - tile.own - n + 1
        sums.diagonals[:, start : start + n + m - 1] += diagonals[:, : n + m - 1]
        return True

    def end(self) -> None:
        """Add the sums to those of the layer."""
        self._whole.merge(self._task, self._sums)


class _ReceivedPart(_Part):
    """Adds up what the keys receive in the tiles of a task."""

    def tile(self, tile: Tile) -> None:
        add_received(self._sums, self._texts, tile.weights, query=tile.query, key=tile.key)

    def weigh(self, tile: Tile, scores: Tensor, sinks: Tensor | None) -> bool:  # noqa: ARG002
        return False
