"""Heads that look at a fixed offset, whose links there say nothing about the text.

A head is positional if its largest weight is at the same offset in 90 % of the queries (Voita et al. 2019); it is left
out as a whole. If it does so in half of the queries of a long text, it has thousands of such links with weights near 1,
and in a short text the few that it has stand before all others: then only its links at that offset are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.units import Reading
from attnviz.encoding import Encoding

MIN_QUERIES = 6
"""The fewest queries that can make a head positional: on three words every head has one offset."""
POSITIONAL = 0.9
MANY_QUERIES = 100
"""The fewest queries for ``DOMINANT``: of fewer, half may share an offset by chance."""
DOMINANT = 0.5
FREQUENT = 0.6
"""What takes its place where there are fewer queries."""


@dataclass(frozen=True)
class Positional:
    """A head that looks ``offset`` tokens from each query (−1: the one before), in ``share`` of the queries."""

    layer: int
    head: int
    offset: int
    share: float


@dataclass(frozen=True, eq=False)
class DominantOffset:
    """A head of a layer (its index), and for each unit the key at the head's offset from it (n,), −1 for none."""

    layer: int
    head: int
    keys: NDArray[np.intp]


class Measured(Protocol):
    """A text and the figures of its heads: what tells at which offsets they look."""

    @property
    def encoding(self) -> Encoding:
        """The text that looks."""

    @property
    def keys(self) -> Encoding | None:
        """The text that is looked at, if it is another."""

    @property
    def figures(self) -> Mapping[str, NDArray[np.float64]]:
        """The figures by name, (L, H) each."""

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """The model's own numbers of the layers."""


def positional_heads(found: Measured) -> list[Positional]:
    """The heads whose largest weight is at the same offset in 90 % of the queries.

    Offsets are in tokens, since such a head counts tokens; special tokens are no queries. Short texts have no
    positional heads, and neither has cross-attention.
    """
    return [head for head in _heads(found, MIN_QUERIES) if head.share >= POSITIONAL]


def dominant_offset_heads(found: Measured) -> list[Positional]:
    """The heads whose largest weight is at the same offset in a ``dominant_share`` of the queries, without the
    positional ones.
    """
    least = dominant_share(found.encoding.special.count(False))
    return [head for head in _heads(found, MIN_QUERIES) if least <= head.share < POSITIONAL]


def dominant_share(queries: int) -> float:
    """From which share of so many ``queries`` on an offset is dominant."""
    return DOMINANT if queries >= MANY_QUERIES else FREQUENT


def _heads(found: Measured, least: int) -> Iterator[Positional]:
    """Each head with its commonest offset; none if there are fewer than ``least`` queries, or two texts."""
    queries = np.flatnonzero(~np.array(found.encoding.special))
    if len(queries) < least or found.keys is not None:
        return
    offsets, shares = found.figures["offset"], found.figures["offset_share"]
    for layer, head in np.ndindex(offsets.shape):
        yield Positional(found.layer_numbers[layer], head, int(offsets[layer, head]), float(shares[layer, head]))


def dominant_offsets(
    heads: Sequence[Positional], units: Reading, encoding: Encoding, shift: int = 0
) -> list[DominantOffset]:
    """Where the ``heads`` look in ``units``: at their offset from a unit's first token, or ahead from its last.

    Args:
        heads: the heads.
        units: words or tokens.
        encoding: the text.
        shift: from where the row of a token looks: −1 where it is that of the token before.
    """
    starts, stops = units.queries.starts, np.append(units.queries.starts[1:], len(encoding))
    unit_of = np.repeat(np.arange(len(starts)), stops - starts)
    found = []
    for head in heads:
        at = (starts if head.offset <= 0 else stops - 1) + head.offset + shift
        there = (at >= 0) & (at < len(unit_of))
        keys = np.where(there, unit_of[at.clip(0, len(unit_of) - 1)], -1)
        found.append(DominantOffset(units.layers.index(head.layer), head.head, keys))
    return found
