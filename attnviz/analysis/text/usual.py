"""What is usual for each head in a text: the mean weight to each key, and at each distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.links import find_in
from attnviz.analysis.text.matching import match_words
from attnviz.analysis.text.per_token import Seen
from attnviz.analysis.text.units import Mask, Reading
from attnviz.analysis.text.wanted import Place, find_places, units_of
from attnviz.attention.observers import Units, UsualSelection
from attnviz.attention.window import KeyWindow
from attnviz.encoding import Encoding
from attnviz.record import KeySpan, Pairs, Spread, Usual

Doubles = NDArray[np.float64]
Ints = NDArray[np.intp]
_ROOM = 1 << 25
"""How many weights of rows to be compared are kept: 256 MiB."""
_HEADS, _LEAST = 16, 8
"""How many heads a layer is taken to have, and the fewest rows that are kept."""


def places_of(units: Reading, queries: Encoding, keys: Encoding, pairs: Pairs) -> tuple[list[Place], list[Place]]:
    """The places that links are looked for from, and those to which.

    Raises:
        UsageError: as ``find_places``.
    """
    texts = ("text", "text") if units.one_text else ("target text", "source text")
    sides = (units.queries, queries, pairs.from_, texts[0]), (units.keys, keys, pairs.to, texts[1])
    from_, to = (
        [place for each in wanted for place in find_places(axis, encoding, units.kind, each, text)]
        for axis, encoding, wanted, text in sides
    )
    return list(dict.fromkeys(from_)), list(dict.fromkeys(to))


def select_usual(
    units: Reading, queries: Encoding, keys: Encoding, pairs: Pairs | Spread | None, layers: int
) -> UsualSelection:
    """Whose weights are kept beside what is usual for the heads.

    Raises:
        UsageError: as ``find_places``.
    """
    if isinstance(pairs, Spread):
        return UsualSelection(rows_to_compare(units, pairs, _room(layers, len(units.keys))))
    from_, to = places_of(units, queries, keys, pairs or Pairs())
    rows, columns = _room(layers, len(units.keys)), _room(layers, len(units.queries))
    if from_ and to:  # of the side with fewer units, rows give one direction, and columns the other
        small = min(from_, to, key=lambda places: len(units_of(places)))
        from_, to = small if units.one_text or small is from_ else [], small if units.one_text or small is to else []
        rows = columns = min(rows, columns)
    return UsualSelection(units_of(_evenly(from_, rows)), units_of(_evenly(to, columns)))


def _evenly(places: list[Place], most: int) -> list[Place]:
    """The places, or as many as ``most`` units have room for, evenly over the text; one at least."""
    count = max(1, most // max((len(place.numbers) for place in places), default=1))
    return [places[i] for i in spread_over(len(places), count)]


def spread_over(count: int, most: int) -> list[int]:
    """At most so many of the numbers below ``count``, evenly apart."""
    return sorted({*np.linspace(0, count - 1, min(most, count)).astype(int).tolist()}) if count else []


def wanted_keys(units: Reading, words: Sequence[str], counted: Mask, layers: int) -> list[int]:
    """The units of which it is wanted what looks at them: those that are named, or as many as there is room for.

    Raises:
        UsageError: a word that the text does not have.
    """
    if words:
        return sorted({unit for word in words for unit in find_in(units.keys, word, units.kind, "text")})
    return [int(key) for key in np.flatnonzero(counted)[: _room(layers, len(units.queries))]]


def _room(layers: int, units: int) -> int:
    """How many rows or columns of so many ``units`` are kept."""
    return max(_LEAST, _ROOM // (layers * _HEADS * max(units, 1)))


def usual_of(
    observer: Units, units: Reading, sizes: tuple[int, int], seen: Seen, windows: Sequence[KeySpan], *, share: bool
) -> Usual:
    """What ``observer`` added up.

    Args:
        observer: the observer.
        units: its units.
        sizes: how many tokens look, and are looked at.
        seen: what the queries see of the keys.
        windows: those of the layers, in order.
        share: whether the rows of weights sum to 1.
    """
    selection = observer.usual or UsualSelection()
    found = [observer.found[layer].usual for layer in observer.layers()]
    received, diagonals, rows, columns = (
        np.stack([getattr(layer, name) for layer in found]) for name in ("received", "diagonals", "rows", "columns")
    )
    counts = {window: _visible(units, sizes, seen, KeyWindow(*window)) for window in set(windows)}
    many, pairs, even = (np.stack([counts[window][i] for window in windows]) for i in range(3))
    if not units.one_text:  # there is no distance between two texts
        diagonals, pairs = diagonals[..., :0], pairs[..., :0]
    return Usual(
        received, diagonals, np.asarray(selection.from_, np.intp), np.asarray(selection.to, np.intp), rows, columns,
        many.astype(np.int64), pairs.astype(np.int64), _even(received, even, share=share),
    )  # fmt: skip


def _even(received: Doubles, even: Doubles, *, share: bool) -> Doubles:
    """What a query gives each token that it sees if it gives all the same (L, H, n).

    Rows sum to 1; those of norms to what the rows of the head have on average.
    """
    if share:
        return np.broadcast_to(even[:, None], (*received.shape[:2], even.shape[-1]))
    return np.asarray(even[:, None] * received.sum(-1, keepdims=True) / max(even.shape[-1], 1))


def _visible(units: Reading, sizes: tuple[int, int], seen: Seen, window: KeyWindow) -> tuple[Doubles, ...]:
    """How many queries see each key (m,), how many pairs there are at each distance, and even weights (n,)."""
    low, high = seen.ends(np.arange(sizes[0]), window)
    starts = units.queries.starts
    n, m = len(starts), len(units.keys)
    lengths = np.diff(np.append(starts, sizes[0]))
    full = np.flatnonzero(lengths > 0)  # a unit may have no tokens
    firsts, ends = np.zeros(n, np.intp), np.zeros(n, np.intp)
    even = np.zeros(n)
    firsts[full] = np.minimum.reduceat(low, starts[full])
    ends[full] = np.maximum.reduceat(high, starts[full])
    even[full] = np.add.reduceat(1 / np.maximum(high - low, 1), starts[full]) / lengths[full]
    stops = np.append(units.keys.starts[1:], sizes[1])
    first = np.searchsorted(stops, firsts, side="right")
    last = np.maximum(np.searchsorted(units.keys.starts, ends, side="left"), first)
    queries = np.arange(n)
    return _covered(first, last, m), _covered(queries - last + m, queries - first + m, n + m - 1), even


def sizes_of(units: Reading, tokens: tuple[int, int]) -> tuple[Doubles, Doubles]:
    """How many tokens the units have that look, and that are looked at; the texts have so many ``tokens``."""
    axes = zip((units.queries, units.keys), tokens, strict=True)
    queries, keys = (np.diff(np.append(axis.starts, size)).astype(float) for axis, size in axes)
    return queries, keys


@dataclass(frozen=True, eq=False)
class Lifts:
    """How many times what is usual some weights are, (P,) each; NaN where there is nothing to compare with."""

    weight: Doubles
    key_mean: Doubles
    distance_mean: Doubles
    key_lift: Doubles
    distance_lift: Doubles

    @property
    def lift(self) -> Doubles:
        """The smaller of the two lifts; between two texts there is only that of the key."""
        return np.fmin(self.key_lift, self.distance_lift)

    @property
    def mean_lift(self) -> Doubles:
        """The weight, divided by the geometric mean of both means."""
        return np.sqrt(self.key_lift * self.distance_lift)


def lifts_of(
    usual: Usual, sizes: tuple[Doubles, Doubles], heads: tuple[Ints, Ints], queries: Ints, keys: Ints, weights: Doubles
) -> Lifts:
    """Compare P weights with what is usual for their heads.

    Each is from Q units to K units that stand side by side: the mean over the tokens of the queries, the sum over the
    keys. The means are those of the other queries that see a key, and of the other pairs at the same distances. Neither
    counts for less than what the keys would get if the queries spread their attention evenly over what they see.

    Args:
        usual: what is usual.
        sizes: how many tokens the units have that look (n,), and that are looked at (m,).
        heads: the indices of layer and head, (P,) each.
        queries: the units that look (P, Q).
        keys: the units that are looked at (P, K).
        weights: the weights between them (P, Q, K).
    """
    layer, head = (each[:, None] for each in heads)
    share = sizes[0][queries] / np.maximum(sizes[0][queries].sum(-1, keepdims=True), 1)
    weight = (weights.sum(-1) * share).sum(-1)
    even = (usual.even[layer, head, queries] * share).sum(-1) * sizes[1][keys].sum(-1)
    beside = usual.received[layer, head, keys].sum(-1) - weights.sum((-1, -2))
    seeing = np.maximum(usual.many[layer, keys].max(-1) - queries.shape[1], 0)
    key_mean = _mean(beside, seeing)
    distance_mean = np.full(len(weight), np.nan)
    if usual.pairs.size:
        apart = (queries[:, :, None] - keys[:, None] + usual.received.shape[-1] - 1).reshape(
            len(weight), queries.shape[1] * keys.shape[1]
        )
        same = apart[:, :, None] == apart[:, None]
        own = (same * weights.reshape(len(weight), 1, apart.shape[1])).sum(-1)
        means = _mean(usual.diagonals[layer, head, apart] - own, usual.pairs[layer, apart] - same.sum(-1))
        distance_mean = (means.reshape(weights.shape).sum(-1) * share).sum(-1)
    least = np.maximum(even, np.finfo(float).tiny)
    lifts = (weight / np.maximum(mean, least) for mean in (key_mean, distance_mean))
    return Lifts(weight, key_mean, distance_mean, *lifts)


def _mean(sums: Doubles, counts: NDArray[np.integer[Any]]) -> Doubles:
    """The sums divided by the counts, 0 where there are none."""
    return np.asarray(np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0))


def rows_to_compare(units: Reading, spread: Spread, most: int) -> list[int]:
    """The units whose rows are compared: those that correspond or are named, or at most so many, evenly over the text.

    Raises:
        UsageError: a word that the text does not have.
    """
    if spread.words and not spread.beside:
        named = sorted(
            {unit for word in spread.words for unit in find_in(units.queries, word, units.kind, "first text")}
        )
        return [named[i] for i in spread_over(len(named), most)]
    count = len(units.queries)
    if spread.beside:
        matched = dict(match_words(spread.beside, units.queries.labels))
        return sorted(matched[row] for row in spread.rows if row in matched)
    return spread_over(count, most)


def _covered(first: NDArray[np.intp], last: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    """How many of the ranges from ``first`` to ``last`` (exclusive) have each place, (size,)."""
    steps = np.zeros(size + 1)
    np.add.at(steps, first, 1)
    np.add.at(steps, last, -1)
    return np.asarray(steps.cumsum()[:size])
