"""The record of what was observed of a text, of any length: what the observers of its run kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding import Encoding, Windows
from attnviz.errors import count_of
from attnviz.record.attention import Array, Backend, Kind, Record
from attnviz.record.measure import Measure, measure_of
from attnviz.record.prediction import Prediction
from attnviz.record.request import Request, Unit
from attnviz.record.texts import RecordTexts

Positions = NDArray[np.int32]
KeySpan = tuple[int | None, int | None]
"""How many keys before and after it a query sees; None for all."""


@dataclass(frozen=True, eq=False)
class Top:
    """The strongest links that count: of each unit (L, H, n, k), or of each band of distances (L, H, bands, k).

    The strongest come first; where there are fewer, the weight is 0 and the position −1.
    """

    weights: Array
    keys: Positions
    queries: Positions | None = None
    """None where the third axis is that of the queries."""


@dataclass(frozen=True, eq=False)
class Pooled:
    """Maps of weights (L, H, rows, columns): each cell is the largest weight of ``down`` × ``across`` units.

    The first cell begins at the units ``query`` and ``key``, and the cells cover ``size`` units. ``layers`` are the
    model's own numbers of the layers that have maps.
    """

    values: Array
    down: int = 1
    across: int = 1
    query: int = 0
    key: int = 0
    size: tuple[int, int] = (0, 0)
    layers: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a head's map that was kept as it is: the weights (n, m) of units, where the maps are pooled.

    ``layer`` is the place of the layer, ``query`` and ``key`` are the first units.
    """

    layer: int
    head: int
    query: int
    key: int
    weights: Array


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of weights that were kept of an observation's own run: (H, Q, M) by layer, of some ``queries`` (Q,).

    For a text in windows, ``window`` is the number of the window that they belong to.
    """

    queries: NDArray[np.intp]
    weights: Mapping[int, Array]
    window: int | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a check needs beside the observation: some ``rows`` of its run.

    ``other`` is the input of the other half of an encoder–decoder.
    """

    rows: tuple[Rows, ...]
    other: Encoding | None = None


@dataclass(frozen=True, eq=False)
class Others:
    """What each unit receives from all queries of the text that are not in the unit itself.

    ``weights`` (L, H, m) are sums over these queries. ``counts`` (L, m) is the number of them that see the unit; if
    weights are per token, it is the number of its tokens that they see, added up over the queries.
    """

    weights: NDArray[np.float64]
    counts: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Usual:
    """What is usual for each head, in units: what keys get, and what stands at a distance.

    Attributes:
        received: what each key gets from all queries (L, H, m).
        diagonals: the weights at each distance query − key, from 1 − m to n − 1, added up (L, H, n + m − 1); empty
            between two texts.
        from_: the units whose rows were kept.
        to: the units whose columns were kept.
        rows: their weights (L, H, queries, m).
        columns: their weights (L, H, n, keys).
        many: how many queries see each key (L, m).
        pairs: how many pairs at each distance see each other (L, n + m − 1); likewise.
        even: what a query gives each token that it sees if it gives all the same (L, H, n).
    """

    received: NDArray[np.float64]
    diagonals: NDArray[np.float64]
    from_: NDArray[np.intp]
    to: NDArray[np.intp]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    many: NDArray[np.int64]
    pairs: NDArray[np.int64]
    even: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Observation(RecordTexts):
    """The attention of one input, as far as it was observed.

    Fields that are not listed here are those of an ``AttentionRecord``.

    Attributes:
        request: what was asked for: among others the unit in which links, bands, rows and maps are counted.
        query_mask: which units count as queries in the links (n,).
        key_mask: which units count as keys in the links (m,).
        itself: whether a link from a unit to itself counts.
        links: the strongest links of each unit.
        edges: where the bands of distances begin, in units.
        bands: the strongest links of each head in each band.
        figures: the figures of the heads by name, (L, H), in tokens; see ``HeadSums``.
        profile: the share of attention by distance in tokens (L, H, bands + 1): the token itself, then the bands that
            begin at ``distances``. The first token is left out.
        received: what each key receives (L, H, M), from the queries of other passages only if there are ``passages``.
        passages: the first tokens of the passages; empty for a text with less than two.
        maps: the maps of the heads.
        regions: of each head the strongest parts of its map, not pooled, if the request asks for them.
        asked: the units that the request names.
        average: the weights of the rows of ``asked``, averaged over all heads (asked, m).
        made: the strongest links of the queries that predicted the generated tokens. Their keys are tokens, or units
            if these are larger than words.
        made_average: the weights of these queries, averaged over all heads.
        named_links: the strongest links of the ``asked`` words, if units are larger than words.
        within: the tokens whose queries were observed (N,); None if all were.
        looking: the units of these tokens (n,); likewise.
        others: what each unit receives from all other queries, if units are larger than words.
        layer_windows: for each layer, by its own number, how many keys before and after it a query sees.
        windows: the windows in which a text was read that is longer than the model's positions. Weights between tokens
            that no window has both are then zero; what the special tokens around each window receive is only in
            ``figures`` and ``profile``.
        window_sinks: whether the first token of each window is a sink, which does not count as a key, like the first
            token of a text that is read at once.
        evidence: what a check needs, if the request asks for it.
        usual: what is usual for each head, if links are looked for.
        unobserved: the layers that the request leaves out; all other fields leave them out too.
        whole: all weights, of all maps of the model, if they were kept.
    """

    model: str
    backend: Backend
    causal: bool
    encoding: Encoding
    request: Request
    query_mask: NDArray[np.bool_]
    key_mask: NDArray[np.bool_]
    itself: bool
    links: Top
    edges: tuple[int, ...]
    bands: Top
    figures: Mapping[str, NDArray[np.float64]]
    profile: NDArray[np.float64]
    distances: tuple[int, ...]
    received: NDArray[np.floating[Any]]
    passages: tuple[int, ...]
    maps: Pooled
    regions: tuple[Region, ...] = ()
    asked: tuple[int, ...] = ()
    average: Array | None = None
    made: Top | None = None
    made_average: Array | None = None
    named_links: Top | None = None
    within: NDArray[np.bool_] | None = None
    looking: NDArray[np.bool_] | None = None
    others: Others | None = None
    layer_windows: Mapping[int, KeySpan] = field(default_factory=dict)
    kind: Kind = "self"
    keys: Encoding | None = None
    numbers: tuple[int, ...] = ()
    windows: Windows | None = None
    window_sinks: bool = False
    evidence: Evidence | None = None
    usual: Usual | None = None
    unobserved: tuple[int, ...] = ()
    whole: Record | None = None
    note: str = ""
    prediction: Prediction | None = None

    @property
    def unit(self) -> Unit:
        """What links, bands, rows and maps are counted in."""
        return self.request.unit

    @property
    def measure(self) -> Measure:
        """What weights, links and maps measure; the figures are of shares of its rows."""
        return measure_of(self.request.weights)

    @property
    def large(self) -> bool:
        """Whether the units are larger than words."""
        return self.unit not in ("token", "word")

    @property
    def special(self) -> bool:
        """Whether special tokens, punctuation and sinks count."""
        return self.request.special

    @property
    def everything(self) -> bool:
        """Whether everything counts."""
        return self.request.everything

    @property
    def named(self) -> bool:
        """Whether what was ``asked`` for is all that is wanted."""
        return bool(self.request.words)

    @property
    def language(self) -> str:
        """The code of the language whose function words do not count."""
        return self.request.language

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(L, H, N, M), all in tokens."""
        layers, heads, keys = self.received.shape
        return layers, heads, len(self.encoding), keys

    def __repr__(self) -> str:
        sizes = f"{count_of(self.layers, 'layer')} × {count_of(self.heads, 'head')}, {len(self.tokens)} tokens"
        return f"<Observation of {self.model}: {sizes}>"
