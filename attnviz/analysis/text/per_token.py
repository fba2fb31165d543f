"""Attention per token of a unit, so that a long passage does not get more because it is long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.window import KeyWindow
from attnviz.encoding import Windows

Numbers = NDArray[np.intp]
_BLOCK = 1024
"""The number of queries that are counted at once."""
_KEPT = 1 << 24
"""The most factors that are cached for the next head or layer: 128 MiB."""


class Seen:
    """Counts how many tokens of each unit the queries of a text see; ``starts`` are the first tokens of the units.

    A query sees those of the ``keys`` tokens that are in its layer's window. If the text was read in ``windows``, they
    must also be in the one that keeps the query, and the first token of that one is left out if it is a sink.
    """

    def __init__(
        self, queries: int, keys: int, starts: Numbers, windows: Windows | None = None, *, window_sinks: bool = False
    ) -> None:
        self.starts, self._stops = starts, np.append(starts[1:], keys)
        self._positions = np.arange(queries)
        self._low, self._high = np.zeros(queries, np.intp), np.full(queries, keys)
        for (start, stop), (first, last) in zip(windows.spans, windows.kept, strict=True) if windows else ():
            self._low[first:last], self._high[first:last] = start + window_sinks, stop

    def counts(self, queries: Numbers, window: KeyWindow) -> NDArray[np.int64]:
        """How many tokens of each unit the ``queries`` see in a layer with this ``window``, (n, m)."""
        low, high = (each[:, None] for each in self.ends(queries, window))
        seen: NDArray[np.int64] = np.maximum(np.minimum(self._stops, high) - np.maximum(self.starts, low), 0)
        return seen

    def ends(self, queries: Numbers, window: KeyWindow) -> tuple[Numbers, Numbers]:
        """The first token that each of the ``queries`` sees, and the one behind the last, (n,) each."""
        at, low, high = (each[queries] for each in (self._positions, self._low, self._high))
        if window.left is not None:
            low = np.maximum(low, at - window.left)
        if window.right is not None:
            high = np.minimum(high, at + window.right + 1)
        return low, high

    def total(self, queries: Numbers, window: KeyWindow, *, per_token: bool, elsewhere: bool) -> NDArray[np.float64]:
        """How many of the ``queries`` see each unit, or how many of its tokens they see in all, (m,).

        Args:
            per_token: whether tokens are counted, not queries.
            elsewhere: whether only queries outside of the unit count; queries and keys are then one text.
        """
        found = np.zeros(len(self.starts))
        for some in np.array_split(queries, max(1, -(-len(queries) // _BLOCK))):
            seen = self.counts(some, window)
            if elsewhere:
                seen[np.arange(len(some)), np.searchsorted(self.starts, some, side="right") - 1] = 0
            found += (seen if per_token else seen > 0).sum(0)
        return found


class PerToken:
    """The ``factors`` of ``Units`` that divide a weight by how many tokens of the key's unit the queries see.

    The weight between two units is then the mean of the weights between their tokens, as far as these see each other.
    ``queries`` are the observed ones, ascending, and ``starts`` the index at which each unit begins among them.
    """

    def __init__(self, seen: Seen, queries: Numbers, starts: Numbers) -> None:
        self._seen, self._queries = seen, queries
        self._starts = np.append(starts, len(queries))
        self._factors: dict[tuple[int, int, KeyWindow], NDArray[np.float64]] = {}

    def __call__(self, first: int, count: int, window: KeyWindow) -> NDArray[np.float64]:
        """The factors (n, m) of the weights of ``count`` units from ``first`` on, the same in all heads."""
        place = first, count, window
        if place not in self._factors:
            if sum(each.size for each in self._factors.values()) > _KEPT:
                self._factors.clear()
            starts = self._starts[first : first + count + 1]
            counts = self._seen.counts(self._queries[starts[0] : starts[-1]], window)
            before = np.concatenate((np.zeros((1, counts.shape[1]), np.int64), counts.cumsum(0)))
            pairs = before[starts[1:] - starts[0]] - before[starts[:-1] - starts[0]]
            self._factors[place] = np.diff(starts)[:, None] / np.maximum(pairs, 1)
        return self._factors[place]
