"""Links between units, and which units count in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnviz.analysis.text.units import Axis, Mask, Reading
from attnviz.errors import UsageError, did_you_mean
from attnviz.record import Array

_NAMED = 30
"""The most words that an error lists."""
_FEW = 3
"""How many of a word's occurrences an error lists."""


@dataclass(frozen=True)
class Link:
    """One weight: the unit ``query`` gives ``weight`` of its attention to ``key``, in head ``head`` of ``layer``.

    ``lift`` is how many times what is usual for the head that is; None where it was not asked for.
    """

    layer: int
    head: int
    query: str
    key: str
    query_index: int
    key_index: int
    weight: float
    lift: float | None = None


def counting(
    units: Reading, *, causal: bool, special: bool = False, function: bool = False, everything: bool = False
) -> tuple[Mask, Mask, bool]:
    """Which queries (n,) and keys (m,) count, and whether self-links do.

    By default only links between different content words count. The first unit of a causal model is a sink, like [CLS]
    in BERT, and does not count as a key (Xiao et al. 2024). Between two texts, there are no self-links.

    Args:
        causal: whether no query sees a later key.
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
    """The keys that one query looks at most: ``best`` in their best heads, ``average`` over all heads (index, weight).

    For units larger than words, the baselines are the average weights of the other queries that see the key, in that
    head or in all; None if there are no others.
    """

    query: str
    query_index: int
    best: tuple[Link, ...]
    average: tuple[tuple[int, float], ...]
    best_baselines: tuple[float | None, ...] = ()
    average_baselines: tuple[float | None, ...] = ()


def top_keys(row: Array, keys: Mask, top: int) -> tuple[tuple[int, float], ...]:
    """The ``top`` largest weights of ``row`` among the ``keys`` that count, largest first, as (key, weight)."""
    order = np.argsort(-np.where(keys, row, -1), kind="stable")[:top]
    return tuple((int(key), float(row[key])) for key in order if keys[key] and row[key] > 0)


def find_unit(units: Reading, wanted: str) -> list[int]:
    """The indices of the queries whose text is ``wanted``, ignoring case; ``the:2`` is only the second of them.

    Raises:
        UsageError: there is none, or too few; the message lists what there is.
    """
    return find_in(units.queries, wanted, units.kind, "text" if units.one_text else "target text")


def only_unit(axis: Axis, wanted: str, unit: str) -> int:
    """The index of the one unit of ``axis`` that reads ``wanted``.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = find_in(axis, wanted, unit, "text")
    if len(found) > 1:
        names = ", ".join(axis.names[i] for i in found[:_FEW])
        more = ", …" if len(found) > _FEW else ""
        raise UsageError(f"{wanted!r} is {len(found)} {unit}s of the text", hint=f"Name one of them: {names}{more}.")
    return found[0]


def find_in(axis: Axis, wanted: str, unit: str, text: str) -> list[int]:
    """The indices of the units of ``axis`` that read ``wanted``; the errors call them by ``unit``, and the ``text``.

    Raises:
        UsageError: there is none, or too few; the message lists what there is.
    """
    exact = _indices(axis, wanted)
    if exact:
        return exact
    label, _, number = wanted.rpartition(":")
    found = _indices(axis, label) if number.isdecimal() else []
    if not found:
        labels = list(dict.fromkeys(axis.labels))
        more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        near = did_you_mean(wanted, labels)
        hint = f"{near}It has: {', '.join(labels[:_NAMED])}{more}"
        raise UsageError(f"the {text} has no {unit} {wanted!r}", hint=hint)
    if len(number) > 9 or not 1 <= int(number) <= len(found):
        times = "once" if len(found) == 1 else f"{len(found)} times"
        raise UsageError(f"no {wanted}: {label!r} occurs {times}", hint=f"Count from 1: {label}:1")
    return [found[int(number) - 1]]


def _indices(axis: Axis, wanted: str) -> list[int]:
    return [i for i, label in enumerate(axis.labels) if label.casefold() == wanted.casefold()]
