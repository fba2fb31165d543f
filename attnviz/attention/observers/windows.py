"""Observers of a text that is read in windows: what they keep is the document's, as if it were read at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.figures import Figures
from attnviz.attention.observers.statistics import HeadSums
from attnviz.attention.shared import many
from attnviz.attention.tile import Observer, Task, Tile
from attnviz.attention.totals import DocumentMasks, Total
from attnviz.encoding import Window


class InWindows(Observer):
    """An observer that is told which window of the document is run next."""

    def enter(self, window: Window) -> None:
        """See the next window."""
        raise NotImplementedError


class Sliding(InWindows):
    """Hands on what is kept of each window, at the places in the document of ``length`` tokens.

    Each query of the document comes once, from the window that keeps it, with the weights of the text tokens that the
    window has. The special tokens around a window have no place in the document: as keys they are left out, and
    the weights of a query sum to less than 1 by what they get; as queries only those at the document's ends
    come. What a window does not reach is zero, as what a query can't see.

    Args:
        sinks: False where the first token of a window is a sink as the first of a document is, which does not count as
            a key: that of a causal model without special tokens in front.
    """

    starts = ()

    def __init__(self, observers: Sequence[Observer], length: int, *, sinks: bool = True) -> None:
        self.observers = observers
        self.many = many(observers)
        self._length = length
        self._sinks = sinks
        self._window: Window | None = None

    def enter(self, window: Window) -> None:
        """See the next window."""
        self._window = window

    @property
    def window(self) -> Window:
        """The window that is run."""
        if self._window is None:
            raise RuntimeError("no window has been entered")
        return self._window

    def tile(self, tile: Tile) -> None:
        """Hand on the rows of a window's tile that are kept, and of these the columns of the text."""
        self.hand_on(tile, self.observers)

    def hand_on(self, tile: Tile, observers: Iterable[Observer]) -> None:
        """Show ``observers`` what is kept of a tile."""
        window = self.window
        n, m = tile.weights.shape[1:]
        shift = window.start - window.lead  # from places in the window to those in the document
        first, last = max(window.first - shift, tile.query), min(window.last - shift, tile.query + n)
        low, high = max(window.lead, tile.key), min(window.stop - shift, tile.key + m)
        if first >= last or low >= high:
            return
        weights = tile.weights[:, first - tile.query : last - tile.query, low - tile.key : high - tile.key]
        if not self._sinks and low == 0:
            weights = weights.clone()
            weights[..., 0] = 0
        shape = tile.shape[0], self._length, self._length
        seen = Tile(tile.layer, first + shift, low + shift, weights, shape, tile.kind, tile.head, tile.window)
        for observer in observers:
            observer.tile(seen)

    def parts(self, task: Task) -> Iterable[Observer]:
        """Who sees what is kept of a task."""
        window, shape = self.window, (task.shape[0], self._length, self._length)
        shift = window.start - window.lead
        start, stop = max(window.first, task.start + shift), min(window.last, task.stop + shift)
        if start < stop:
            own = replace(task, shape=shape, start=start, stop=stop)
            parts = [part for observer in self.observers for part in observer.parts(own)]
            shared = [part for part in parts if not part.own]
            yield _Slid(self, [part for part in parts if part.own])
            if shared:
                yield _Slid(self, shared, own=False)


class _Slid(Observer):
    """Parts of a task that see what is kept of its window."""

    def __init__(self, sliding: Sliding, parts: Sequence[Observer], *, own: bool = True) -> None:
        self._sliding, self._parts, self.own = sliding, parts, own

    def tile(self, tile: Tile) -> None:
        self._sliding.hand_on(tile, self._parts)

    def end(self) -> None:
        for part in self._parts:
            part.end()


class WindowSums(InWindows):
    """``HeadSums`` over the queries that are kept of each window, each with all that it sees: special tokens, too.

    Distances are the document's where both ends are text. The ``first`` key is the window's, and
    ``normalised_entropy`` goes by the keys that a query may see in the window. The special tokens around a window
    belong to the sets to which those at the document's ends belong.

    Args:
        document: what is said of its tokens.
        widest: how many tokens the longest window has.
        sinks: as for ``Sliding``: whether the first token of a window receives as others do.
    """

    many = True

    def __init__(self, document: DocumentMasks, widest: int, *, sinks: bool = True) -> None:
        self._document, self._sinks = document, sinks
        self._total = Total(widest)
        self._now: tuple[Window, HeadSums] | None = None
        self._received: list[NDArray[np.float64]] = []

    def enter(self, window: Window) -> None:
        """See the next window."""
        self._leave()
        self._now = window, HeadSums(self._document.texts(window), firsts=True, many=True)

    @property
    def _sums(self) -> HeadSums:
        if self._now is None:
            raise RuntimeError("no window has been entered")
        return self._now[1]

    def tile(self, tile: Tile) -> None:
        """Add the tile of a window."""
        self._sums.tile(tile)

    def parts(self, task: Task) -> Iterable[Observer]:
        """Who adds up what a task of the window has."""
        return self._sums.parts(task)

    def _leave(self) -> None:
        """Add the window that was run to the document."""
        if self._now is None:
            return
        (window, sums), self._now = self._now, None
        self._total.add(window, sums.sums)
        if not self._received:
            shape = (*sums.received().shape[:2], len(self._document.counting))
            self._received = [np.zeros(shape), np.zeros(shape)]
        first = window.lead + (not self._sinks and not window.lead)
        start, stop = window.start + first - window.lead, window.stop
        for whole, others in zip(self._received, (False, True), strict=True):
            whole[..., start:stop] += sums.received(others=others)[..., first : first + stop - start]

    @property
    def figures(self) -> Figures:
        """All figures by name, (L, H) each."""
        self._leave()
        return self._total.figures()

    @property
    def profile(self) -> NDArray[np.float64]:
        """How far each head looks, (L, H, 1 + EDGES)."""
        self._leave()
        return self._total.profile

    def received(self, *, others: bool = False) -> NDArray[np.float64]:
        """What the tokens of the text receive, as ``Sliding`` hands it on, (L, H, N); ``others`` as there."""
        self._leave()
        return self._received[others]
