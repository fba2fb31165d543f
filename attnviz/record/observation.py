"""The record of a text whose weights are too many to keep: what the observers of its run kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding import Encoding, Windows
from attnviz.record.attention import Array, Backend, Kind, Record
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
    """The weights (L, H, rows, columns) in cells, each the largest of ``down`` × ``across`` units.

    The cells begin at the units ``query`` and ``key``; ``size`` units were joined. ``layers`` are the own numbers of
    the layers that were kept.
    """

    values: Array
    down: int = 1
    across: int = 1
    query: int = 0
    key: int = 0
    size: tuple[int, int] = (0, 0)
    layers: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of weights that passed by in the run that an observation is of: by layer (H, Q, M), of ``queries`` (Q,).

    Where a text was read in windows they are those of the ``window`` of that number.
    """

    queries: NDArray[np.intp]
    weights: Mapping[int, Array]
    window: int | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a check needs beside what is shown: some ``rows`` of the very run.

    ``other`` is what the other half of an encoder–decoder read.
    """

    rows: tuple[Rows, ...]
    other: Encoding | None = None


@dataclass(frozen=True, eq=False)
class Others:
    """What each unit gets from the queries of a text outside of it, all of them: ``weights`` (L, H, m) are sums.

    ``counts`` (L, m) is how many of these queries see the unit; or where weights are per token, how many of its tokens
    they see together.
    """

    weights: NDArray[np.float64]
    counts: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Observation(RecordTexts):
    """One input's attention, as far as it was observed; the first fields are those of ``AttentionRecord``.

    ``request`` is what was asked for: the unit in which links, bands, rows and maps are counted, and what counts.
    ``query_mask`` (n,) and ``key_mask`` (m,) say which units count in the links and ``itself`` whether a unit's link
    to itself does. ``bands`` holds the strongest links of each head in the bands
    of distances that begin at ``edges`` units. ``figures`` are those of ``HeadSums`` by name, (L, H), in tokens,
    and the ``sink`` that ``metrics`` defines; ``profile`` (L, H, bands + 1) is the share of attention that each
    distance in tokens gets (the token itself, then the bands that begin at ``distances``), without the first token.
    ``received`` (L, H, M) is what each token's key receives from the queries of other passages; ``passages`` are
    the first tokens of the passages, of which a text has two at least or none. ``average`` (asked, m): the weights
    of the queries ``asked`` over the units, averaged over all heads.
    ``made`` and ``made_average`` are the links and the averages of the queries that predicted the tokens that the
    model wrote: to tokens, or to units where these are larger than words. In such units ``named_links`` and ``average``
    are those of the words ``asked``, where some were named, and ``others`` is what all other queries look at.
    ``within`` (N,): the tokens whose queries were observed at all, where not all were, and ``looking`` (n,) the units
    to which these belong. ``layer_windows`` say how many keys before and after it a query of each layer sees.

    ``windows`` are those in which a text was read that is longer than the model has positions. Then weights are zero
    where no window has both ends, and what the special tokens around each window get is in the ``figures`` alone, and
    in the ``profile``. ``window_sinks``: the first token of each window is a sink that does not count as a key, as the
    first of a text that is read at once. ``evidence`` is what a check needs, where it was wanted. ``unobserved`` are
    the layers that nobody asked for: all that is said is said of the others. ``whole`` has all
    weights, of all maps of the model, where these were kept; ``note`` is that of an ``AttentionRecord``.
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
    unobserved: tuple[int, ...] = ()
    whole: Record | None = None
    note: str = ""

    @property
    def unit(self) -> Unit:
        """What links, bands, rows and maps are counted in."""
        return self.request.unit

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
        return f"<Observation of {self.model}: {self.layers} layers × {self.heads} heads, {len(self.tokens)} tokens>"
