"""Links: which query looks at which key, in which head, how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.offsets import DominantOffset, Positional
from attnviz.analysis.text.units import Axis, Mask, Reading, Units
from attnviz.errors import UsageError
from attnviz.record import Array

_NAMED = 30
"""The most words that an error lists."""


@dataclass(frozen=True)
class Link:
    """One weight: the unit ``query`` gives ``weight`` of its attention to ``key``, in head ``head`` of ``layer``."""

    layer: int
    head: int
    query: str
    key: str
    query_index: int
    key_index: int
    weight: float


@dataclass(frozen=True, eq=False)
class Selection:
    """What counts when links of ``units`` are ranked: which queries, keys and heads (L, H), and self-links or not.

    ``itself``: pairs of the same place count too; where one text looks at another they are pairs like any.
    ``within`` are the units (n,) of a passage, where only those look. ``dominant_offsets``: the
    links of a head at its offset do not count.
    What several views need of it is computed once, when the first asks.
    """

    units: Units
    queries: Mask
    keys: Mask
    heads: Mask
    itself: bool
    within: Mask | None = None
    dominant_offsets: Sequence[DominantOffset] = ()

    @cached_property
    def pairs(self) -> Mask:
        """(queries, keys) that count."""
        pairs = self.queries[:, None] & self.keys[None, :]
        if not self.itself:
            np.fill_diagonal(pairs, False)
        return pairs

    @cached_property
    def best(self) -> tuple[Array, NDArray[np.intp]]:
        """For each pair its largest weight over the heads that count, and that head's number l·H + h, both (n, m)."""
        return best_heads(self.units.weights, self.heads, self.dominant_offsets)

    @cached_property
    def strength(self) -> NDArray[np.float64]:
        """Each head's largest weight among the pairs that count, (L, H); zero where no pair does."""
        strength = np.asarray(np.max(self.units.weights, axis=(-2, -1), where=self.pairs, initial=0), np.float64)
        for dominant in self.dominant_offsets:
            pairs = self.pairs & (np.arange(len(self.keys)) != dominant.keys[:, None])
            strength[dominant.layer, dominant.head] = self.units.weights[dominant.layer, dominant.head].max(
                where=pairs, initial=0
            )
        return strength


def select(
    units: Units,
    positional: Sequence[Positional] = (),
    *,
    causal: bool,
    special: bool = False,
    function: bool = False,
    everything: bool = False,
) -> Selection:
    """What counts by default: links between different content words, without the ``positional`` heads.

    In a causal model the first unit is a sink as [CLS] is in BERT, and left out as a key (Xiao et al. 2024). Two
    texts are neither causal nor is a unit of one the same as a unit of the other.

    Args:
        special: special tokens, punctuation and sinks count too.
        function: function words count too.
        everything: all of these count, positional heads and self-links as well.
    """
    queries, keys, itself = counting(units, causal=causal, special=special, function=function, everything=everything)
    heads = np.ones(units.weights.shape[:2], bool)
    if not everything:
        for found in positional:
            heads[units.layers.index(found.layer), found.head] = False
    return Selection(units, queries, keys, heads, itself)


def counting(
    units: Reading, *, causal: bool, special: bool = False, function: bool = False, everything: bool = False
) -> tuple[Mask, Mask, bool]:
    """Which queries (n,) and keys (m,) count, and whether self-links do; the arguments are those of ``select``."""
    special, function = special or everything, function or everything
    queries, keys = (_counting(axis, special=special, function=function) for axis in (units.queries, units.keys))
    if causal and units.one_text and not special:
        keys[0] = False
    return queries, keys, everything or not units.one_text


def _counting(axis: Axis, *, special: bool, function: bool) -> Mask:
    counting = np.ones(len(axis), bool)
    if not special:
        counting &= ~(axis.special | axis.punctuation)
    if not function:
        counting &= ~axis.function
    return counting


def strongest(selection: Selection, top: int) -> list[Link]:
    """The ``top`` strongest links, each pair of units once, in the head where it is strongest."""
    weights, heads = selection.best
    weights = np.where(selection.pairs, weights, -1)
    order = np.argsort(-weights, axis=None, kind="stable")[:top]
    pairs = zip(*np.unravel_index(order, weights.shape), strict=True)
    return [_link(selection.units, heads, int(q), int(k), float(weights[q, k])) for q, k in pairs if weights[q, k] > 0]


def best_heads(
    weights: Array, heads: Mask, dominant_offsets: Sequence[DominantOffset] = ()
) -> tuple[Array, NDArray[np.intp]]:
    """For each pair its largest weight over the ``heads`` that count, and that head's number l·H + h, both (n, m).

    The links of ``dominant_offsets`` are no links of their heads.
    """
    flat = weights.reshape(-1, *weights.shape[2:])  # (L, H, n, m) → (L·H, n, m)
    numbers = np.flatnonzero(heads)
    if not len(numbers):
        return np.zeros_like(flat[0]), np.zeros(flat[0].shape, np.intp)
    counted = flat[numbers]
    for dominant in dominant_offsets:
        queries = np.flatnonzero(dominant.keys >= 0)
        row = np.flatnonzero(numbers == dominant.layer * weights.shape[1] + dominant.head)
        counted[row[:, None], queries, dominant.keys[queries]] = 0
    best = counted.argmax(0)
    return np.take_along_axis(counted, best[None], 0)[0], numbers[best]


def _link(units: Units, heads: NDArray[np.intp], query: int, key: int, weight: float) -> Link:
    layer, head = divmod(int(heads[query, key]), units.weights.shape[1])
    return Link(units.layers[layer], head, units.queries.labels[query], units.keys.labels[key], query, key, weight)


@dataclass(frozen=True)
class Attended:
    """What one query looks at most: ``best``, each key in its best head, and ``average``: (key's index, weight)."""

    query: str
    query_index: int
    best: tuple[Link, ...]
    average: tuple[tuple[int, float], ...]


def top_attended(selection: Selection, queries: Sequence[int], top: int) -> list[Attended]:
    """For each of ``queries`` the ``top`` keys by their best head, and by the average over all heads."""
    units, (best, heads) = selection.units, selection.best
    mean = units.weights.mean((0, 1))
    found = []
    for query in queries:
        keys = selection.keys.copy()
        if not selection.itself:
            keys[query] = False
        strong, usual = (top_keys(row[query], keys, top) for row in (best, mean))
        links = tuple(_link(units, heads, query, key, weight) for key, weight in strong)
        found.append(Attended(units.queries.labels[query], query, links, usual))
    return found


def top_keys(row: Array, keys: Mask, top: int) -> tuple[tuple[int, float], ...]:
    """The ``top`` of the ``keys`` that count with the largest weights in ``row``, and these, the largest first."""
    order = np.argsort(-np.where(keys, row, -1), kind="stable")[:top]
    return tuple((int(key), float(row[key])) for key in order if keys[key] and row[key] > 0)


def find_unit(units: Reading, wanted: str) -> list[int]:
    """The indices of the queries that read ``wanted``, in any case; ``the:2`` is the second of them only.

    Raises:
        UsageError: there is none, or not so many; the message says what there is.
    """
    exact = _indices(units, wanted)
    if exact:
        return exact
    label, _, number = wanted.rpartition(":")
    found = _indices(units, label) if number.isdecimal() else []
    if not found:
        text = "text" if units.one_text else "target text"
        labels = list(dict.fromkeys(units.queries.labels))
        more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        raise UsageError(
            f"the {text} has no {units.kind} {wanted!r}", hint=f"It has: {', '.join(labels[:_NAMED])}{more}"
        )
    if len(number) > 9 or not 1 <= int(number) <= len(found):
        times = "once" if len(found) == 1 else f"{len(found)} times"
        raise UsageError(f"no {wanted}: {label!r} occurs {times}", hint=f"Count from 1: {label}:1")
    return [found[int(number) - 1]]


def _indices(units: Reading, wanted: str) -> list[int]:
    return [i for i, label in enumerate(units.queries.labels) if label.casefold() == wanted.casefold()]
