"""What only long texts have: links by their distance, how much attention goes how far, and who is read by all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.links import Link


@dataclass(frozen=True)
class Place:
    """Where a unit stands: its line (from 1), its page where the text has form feeds, and some words around it."""

    line: int
    page: int | None
    before: str
    word: str
    after: str


@dataclass(frozen=True)
class FarLink:
    """A link between units ``distance`` units apart, and where both stand."""

    link: Link
    distance: int
    query: Place
    key: Place


@dataclass(frozen=True)
class Far:
    """The strongest links of one band of distances: ``near`` ≤ distance < ``far`` in units; None has no end."""

    near: int
    far: int | None
    links: list[FarLink]


@dataclass(frozen=True, eq=False)
class Profile:
    """How much attention goes how far: the mean over queries and heads, by distance in tokens.

    ``first`` (L,) is the share of the first token, which ``shares`` (L, bands + 1) leave out: the share of the query
    itself, and of each band of distances that begins at ``edges``. Together they are all attention.
    """

    edges: tuple[int, ...]
    first: NDArray[np.float64]
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class Passage:
    """The units ``start`` to ``stop`` (exclusive) of a text, and how much the rest of it looks at them.

    ``text`` are its first words. ``received``: of the attention that the queries of other passages give to content, the
    share that goes here, divided by the share that it had if each of these queries looked at all content alike that it
    sees. So 1 is what was to be expected, and 2 twice that.
    """

    number: int
    line: int
    start: int
    stop: int
    text: str
    received: float
