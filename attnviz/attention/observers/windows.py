"""Observers of a text that is read in windows: what they keep is the document's, as if it were read at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.observers.statistics import HeadStats, Received, merged
from attnviz.attention.observers.units import InUnits
from attnviz.attention.tile import Observer, Tile
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

    def __init__(self, observers: Sequence[Observer], length: int, *, sinks: bool = True) -> None:
        self.observers = observers
        self._length = length
        self._sinks = sinks
        self._window: Window | None = None

    def enter(self, window: Window) -> None:
        """See the next window."""
        self._window = window

    def tile(self, tile: Tile) -> None:
        """Hand on the rows of a window's tile that are kept, and of these the columns of the text."""
        window = self._window
        if window is None:
            raise RuntimeError("no window has been entered")
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
        seen = Tile(
            tile.layer, first + shift, low + shift, weights.contiguous(), shape, tile.kind, tile.head, tile.window
        )
        for observer in self.observers:
            observer.tile(seen)


class WindowStats(InWindows):
    """``HeadStats`` over the queries that are kept, each with all of its window: the special tokens around it too.

    Distances are the document's where both ends are text. The ``first`` key is the window's, and
    ``normalised_entropy`` goes by the keys that a query may see in the window. ``sets``, ``counting`` and ``telling``
    (N,) are those of ``HeadStats`` for the document; the special tokens around a window belong to the sets to which
    those at the document's ends belong.
    """

    shares = True

    def __init__(
        self,
        sets: Mapping[str, NDArray[np.bool_]] | None = None,
        counting: NDArray[np.bool_] | None = None,
        *,
        telling: NDArray[np.bool_] | None = None,
    ) -> None:
        self._sets = sets or {}
        self._counting = counting
        self._telling = counting if telling is None else telling
        self._parts: list[HeadStats] = []

    def enter(self, window: Window) -> None:
        """See the next window."""
        counting, telling = (
            window.kept if mask is None else window.kept & mask[window.places]
            for mask in (self._counting, self._telling)
        )
        sets = {name: keys[window.places] for name, keys in self._sets.items()}
        self._parts.append(HeadStats(sets, counting, telling=telling))

    def tile(self, tile: Tile) -> None:
        """Add the figures of the tile's queries."""
        self._parts[-1].tile(tile)

    @property
    def figures(self) -> dict[str, NDArray[np.float64]]:
        """The figures of all heads by name, averaged over the queries of all windows."""
        return merged(self._parts)


class WindowReceived(InWindows):
    """What the keys of each window receive from the queries that are kept of it, its special tokens among them.

    ``counting`` (N,) says which queries of the document count; None is all.
    """

    def __init__(self, counting: NDArray[np.bool_] | None = None) -> None:
        self._counting = counting
        self._now: Observer = Observer()
        self.parts: list[tuple[NDArray[np.intp], Received]] = []
        """Of each window that has some the places of the queries that count, and what they give."""

    def enter(self, window: Window) -> None:
        """See the next window."""
        query_mask = window.kept if self._counting is None else window.kept & self._counting[window.places]
        self._now = Observer()
        if query_mask.any():
            received, places = Received(), range(len(query_mask))
            self.parts.append((np.flatnonzero(query_mask), received))
            self._now = InUnits([received], places, places, query_mask=query_mask)

    def tile(self, tile: Tile) -> None:
        """Add what the tile's queries give."""
        self._now.tile(tile)
