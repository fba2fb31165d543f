"""Links: which query looks at which key, in which head, how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnviz.analysis.text.units import Axis, Mask, Reading
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


def counting(
    units: Reading, *, causal: bool, special: bool = False, function: bool = False, everything: bool = False
) -> tuple[Mask, Mask, bool]:
    """Which queries (n,) and keys (m,) count, and whether self-links do.

    By default these are links between different content words. In a causal model the first unit is a sink as [CLS] is
    in BERT, and left out as a key (Xiao et al. 2024). Two texts are neither causal nor is a unit of one the same as a
    unit of the other.

    Args:
        causal: no query sees a later key.
        special: special tokens, punctuation and sinks count too.
        function: function words count too.
        everything: all of these count, and self-links as well.
    """
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


@dataclass(frozen=True)
class Attended:
    """What one query looks at most: ``best``, each key in its best head, and ``average``: (key's index, weight).

    Of units larger than words the baselines are what other queries that see the key give to it on average, in that head
    or in all; None where there are no others.
    """

    query: str
    query_index: int
    best: tuple[Link, ...]
    average: tuple[tuple[int, float], ...]
    best_baselines: tuple[float | None, ...] = ()
    average_baselines: tuple[float | None, ...] = ()


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
