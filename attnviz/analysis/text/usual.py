"""What is usual for each head in a text: the mean weight to each key, and at each distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.matching import match_words
from attnviz.analysis.text.per_token import Seen
from attnviz.analysis.text.units import Reading
from attnviz.analysis.text.wanted import Place, find_places, units_of
from attnviz.attention.observers import UsualWeights
from attnviz.attention.window import KeyWindow
from attnviz.encoding import Encoding
from attnviz.record import KeySpan, Pairs, Spread, Usual

_ROOM = 1 << 25
"""How many weights of rows to be compared are kept: 256 MiB."""
_HEADS, _LEAST = 16, 8
"""How many heads a layer is taken to have, and the fewest rows that are kept."""


def places_of(units: Reading, queries: Encoding, keys: Encoding, pairs: Pairs) -> tuple[list[Place], list[Place]]:
    """The places that links are looked for from, and those to which.

    Raises:
        UsageError: as ``find_places``.
    """
    from_ = [place for each in pairs.from_ for place in find_places(units.queries, queries, units.kind, each)]
    to = [place for each in pairs.to for place in find_places(units.keys, keys, units.kind, each)]
    return list(dict.fromkeys(from_)), list(dict.fromkeys(to))


class UsualOf:
    """What adds up what is usual for the heads of a text, and the record of that."""

    def __init__(self, units: Reading, queries: Encoding, keys: Encoding, pairs: Pairs | Spread, layers: int) -> None:
        self._units, self._sizes = units, (len(queries), len(keys))
        if isinstance(pairs, Spread):
            compared = rows_to_compare(units, pairs, max(_LEAST, _ROOM // (layers * _HEADS * max(len(units.keys), 1))))
            self.observer = UsualWeights(units.queries.starts, units.keys.starts, from_=compared)
            return
        from_, to = places_of(units, queries, keys, pairs)
        # Where both sides are given, rows give both directions.
        rows = [*from_, *(to if units.one_text and from_ else ())]
        self.observer = UsualWeights(
            units.queries.starts, units.keys.starts, from_=units_of(rows), to=() if from_ else units_of(to)
        )

    def found(self, seen: Seen, windows: Sequence[KeySpan]) -> Usual:
        """What was added up; ``windows`` are those of the layers, in order."""
        observer, layers = self.observer, sorted(self.observer.sums)
        received, diagonals, rows, columns = (
            np.stack([getattr(observer.sums[layer], name) for layer in layers])
            for name in ("received", "diagonals", "rows", "columns")
        )
        counts = {window: self._visible(seen, KeyWindow(*window)) for window in set(windows)}
        many, pairs, even = (np.stack([counts[window][i] for window in windows]) for i in range(3))
        return Usual(
            received, diagonals, observer.from_, observer.to, rows, columns,
            many.astype(np.int64), pairs.astype(np.int64), even,
        )  # fmt: skip

    def _visible(self, seen: Seen, window: KeyWindow) -> tuple[NDArray[np.float64], ...]:
        """How many queries see each key (m,), how many pairs there are at each distance, and even weights (n,)."""
        low, high = seen.ends(np.arange(self._sizes[0]), window)
        starts = self._units.queries.starts
        n, m = len(starts), len(self._units.keys)
        lengths = np.diff(np.append(starts, self._sizes[0]))
        full = np.flatnonzero(lengths > 0)  # a unit may have no tokens
        firsts, ends = np.zeros(n, np.intp), np.zeros(n, np.intp)
        even = np.zeros(n)
        firsts[full] = np.minimum.reduceat(low, starts[full])
        ends[full] = np.maximum.reduceat(high, starts[full])
        even[full] = np.add.reduceat(1 / np.maximum(high - low, 1), starts[full]) / lengths[full]
        stops = np.append(self._units.keys.starts[1:], self._sizes[1])
        first = np.searchsorted(stops, firsts, side="right")
        last = np.maximum(np.searchsorted(self._units.keys.starts, ends, side="left"), first)
        queries = np.arange(n)
        return _covered(first, last, m), _covered(queries - last + m, queries - first + m, n + m - 1), even


def rows_to_compare(units: Reading, spread: Spread, most: int) -> list[int]:
    """The units whose rows are compared: those that correspond, or at most so many, evenly over the text."""
    count = len(units.queries)
    if spread.beside:
        matched = dict(match_words(spread.beside, units.queries.labels))
        return sorted(matched[row] for row in spread.rows if row in matched)
    return sorted({*np.linspace(0, count - 1, min(most, count)).astype(int).tolist()})


def _covered(first: NDArray[np.intp], last: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    """How many of the ranges from ``first`` to ``last`` (exclusive) have each place, (size,)."""
    steps = np.zeros(size + 1)
    np.add.at(steps, first, 1)
    np.add.at(steps, last, -1)
    return np.asarray(steps.cumsum()[:size])
