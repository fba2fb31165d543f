"""Everything that ``show`` says of one input, as numbers: what the terminal and the JSON document are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.languages import ENGLISH
from attnviz.analysis.text import metrics
from attnviz.analysis.text.links import (
    Attended,
    Link,
    Selection,
    find_unit,
    select,
    strongest,
    top_attended,
)
from attnviz.analysis.text.long_range import LongRange, Passage, Profile
from attnviz.analysis.text.offsets import Positional, dominant_offset_heads, dominant_offsets, positional_heads
from attnviz.analysis.text.units import Axis, Mask, Reading, Units, in_tokens, in_words, within
from attnviz.analysis.text.window import Window, spans
from attnviz.encoding import Encoding
from attnviz.errors import UsageError
from attnviz.record import Array, Attention, Observation

Numbers = NDArray[np.intp]
Cell = Literal["link", "entropy", "sink", "distance"]


@dataclass(frozen=True)
class Heads:
    """Which heads somebody asked for; None is left to the strongest link. ``mean`` averages a layer's heads."""

    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    mean: bool = False

    @property
    def chosen(self) -> bool:
        """Whether anything was asked for."""
        return self != Heads()


@dataclass(frozen=True, eq=False)
class HeadMap:
    """What is shown of the weights of one head, or of the mean of a layer's (``head`` is None).

    ``layer`` is the model's own number. ``weights`` (r, c) are those of the units ``rows`` (r,) to the units
    ``columns`` (c,); or, where there were too many to keep, cells of ``down`` × ``across`` units, of which each has
    the largest weight and begins at its unit in ``rows`` and ``columns``; ``size`` units were so joined.
    """

    layer: int
    head: int | None
    weights: Array
    rows: Numbers
    columns: Numbers
    down: int = 1
    across: int = 1
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Grid:
    """What is shown of all heads, (L, H, r, c); pooled as a ``HeadMap`` is."""

    weights: Array
    down: int = 1
    across: int = 1
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Summary:
    """One input's findings, from all of its weights or from what an observation kept of them.

    ``units`` are the words or tokens that all of it is about, ``pieces`` the tokens. ``query_mask`` (n,), ``key_mask``
    (m,) and ``heads`` (L, H) are the units and heads that count. ``overview`` is (L, H), NaN where the head does not.
    ``generated`` has a row for each token that the model wrote: what the token before it looks at, since from there it
    was predicted; ``query_index + 1`` is the token's own place. Unless everything counts, ``positional`` heads are
    left out and of ``dominant`` ones the links at their offset. ``long_range``, ``profile`` and ``passages`` are
    found where the record is an observation.
    """

    attention: Attention | Observation
    units: Reading
    pieces: Reading
    query_mask: Mask
    key_mask: Mask
    heads: Mask
    links: list[Link]
    special_share: float
    punctuation_share: float
    positional: list[Positional]
    dominant: list[Positional]
    cell: Cell
    overview: NDArray[np.float64]
    maps: list[HeadMap]
    attended: list[Attended]
    generated: list[Attended]
    long_range: list[LongRange] = field(default_factory=list)
    profile: Profile | None = None
    passages: list[Passage] = field(default_factory=list)


def summarise(
    attention: Attention,
    *,
    tokens: bool = False,
    special: bool = False,
    everything: bool = False,
    heads: Heads | None = None,
    words: Sequence[str] = (),
    passage: str | None = None,
    cell: Cell = "link",
    top: int = 3,
    links: int = 8,
    window: Window | None = None,
    language: str = ENGLISH,
) -> Summary:
    """Find what ``show`` prints.

    Args:
        tokens: read the record in tokens, not in words.
        special: special tokens, punctuation and sinks count too.
        everything: everything counts: function words, positional heads and self-links as well.
        heads: the heads whose maps are wanted; None is the head of the strongest link.
        words: the units whose attention is wanted (``the:2``); none is all that count.
        passage: some words of the text: only they look, in all that is found but positional heads and new tokens.
        cell: what a cell of the overview is.
        top: how many keys a word gets.
        links: how many links are listed.
        window: the part of the maps that is wanted; None is all.
        language: the code of the language whose function words do not count.

    Raises:
        UsageError: a layer, head, row, word or passage that there is not; a distance between two texts.
    """
    pieces = in_tokens(attention, language)
    units = pieces if tokens else in_words(attention, language)
    positional = positional_heads(attention)
    dominant = [] if everything else dominant_offset_heads(attention)
    selection = select(units, positional, causal=attention.causal, special=special, everything=everything)
    selection = replace(selection, dominant_offsets=dominant_offsets(dominant, units, attention.encoding))
    rows, weights = np.arange(len(pieces.queries)), attention.weights
    if passage is not None:
        inside = within(units.kind, attention.encoding, passage)
        selection = replace(selection, queries=selection.queries & inside, within=inside)
        rows = np.flatnonzero(within("token", attention.encoding, passage))
        weights = weights[:, :, rows]
    queries = [i for word in words for i in find_unit(units, word)] if words else np.flatnonzero(selection.queries)
    return Summary(
        attention=attention,
        units=units,
        pieces=pieces,
        query_mask=selection.queries,
        key_mask=selection.keys,
        heads=selection.heads,
        links=strongest(selection, links),
        special_share=metrics.share(weights, pieces.keys.special),
        punctuation_share=metrics.share(weights, pieces.keys.punctuation),
        positional=positional,
        dominant=dominant,
        cell=cell,
        overview=_overview(attention, selection, cell, weights, rows),
        maps=pick_maps(selection, heads or Heads(), window, special=special or everything),
        attended=top_attended(selection, [int(i) for i in queries], top),
        generated=_generated(attention, pieces, positional, dominant, top, special=special, everything=everything),
    )


def makers_of(encoding: Encoding) -> range:
    """The queries that predicted the tokens that the model wrote: each the token before; the first token has none."""
    n = len(encoding)
    return range(max(n - encoding.generated, 1) - 1, n - 1)


def _generated(
    attention: Attention,
    pieces: Units,
    positional: list[Positional],
    dominant: list[Positional],
    top: int,
    *,
    special: bool,
    everything: bool,
) -> list[Attended]:
    """The rows that predicted the generated tokens, each that of the token before; before the first there is none."""
    makers = makers_of(attention.encoding)
    if not makers:
        return []
    # A new token is made from anything that stands there, function words and the last token included.
    making = select(pieces, positional, causal=attention.causal, special=special, function=True, everything=everything)
    return top_attended(
        replace(making, itself=True, dominant_offsets=dominant_offsets(dominant, pieces, attention.encoding)),
        makers,
        top,
    )


def _overview(
    attention: Attention, selection: Selection, cell: Cell, weights: Array, rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """``weights`` (L, H, rows, M) are those of the tokens ``rows``, of which the figures are."""
    require_cell(cell, attention)
    match cell:
        case "link":
            return np.where(selection.heads, selection.strength, np.nan)
        case "entropy":
            return metrics.entropy(weights)
        case "distance":
            return metrics.distance(weights, rows)
        case "sink":
            return metrics.sink(weights, attention.causal, rows)


def require_cell(cell: Cell, found: Attention | Observation) -> None:
    """Raise where there is no such overview.

    Raises:
        UsageError: a distance between two texts.
    """
    if cell == "distance" and found.keys is not None:
        raise UsageError("there is no distance between two texts", hint="Ask for link, entropy or sink.")


def shown_units(units: Reading, window: Window | None = None, *, special: bool) -> tuple[Numbers, Numbers]:
    """The units that a map shows as rows and as columns, of all or of a ``window``.

    Special tokens and punctuation are left out, unless they are asked for or fewer than two others are left.
    """
    rows, columns = spans(window or Window(), units)
    return shown_of(units.queries, *rows, special=special), shown_of(units.keys, *columns, special=special)


def shown_of(axis: Axis, start: int, stop: int, *, special: bool) -> Numbers:
    """``shown_units`` of one text, from ``start`` to ``stop`` (exclusive)."""
    words = start + np.flatnonzero(~(axis.special | axis.punctuation)[start:stop])
    return np.arange(start, stop) if special or len(words) < min(2, stop - start) else words


def _shown_within(
    units: Reading, window: Window | None, inside: Mask | None, *, special: bool
) -> tuple[Numbers, Numbers]:
    """``shown_units``, of whose rows only those ``inside`` (n,) look, where there are any."""
    rows, columns = shown_units(units, window, special=special)
    if inside is not None:
        everything, _ = shown_units(units, window, special=True)
        rows = next(filter(len, (part[inside[part]] for part in (rows, everything))), everything)
    return rows, columns


def grid(units: Units, window: Window | None = None, inside: Mask | None = None, *, special: bool = False) -> Grid:
    """The maps of all heads; where it is given only the units ``inside`` (n,) look."""
    rows, columns = _shown_within(units, window, inside, special=special)
    return Grid(units.weights[:, :, rows[:, None], columns])


def pick_maps(selection: Selection, wanted: Heads, window: Window | None = None, *, special: bool) -> list[HeadMap]:
    """The maps of the wanted heads; where layer or head is left open, the one with the strongest link.

    Raises:
        UsageError: a layer or head that the model does not have, rows or columns that the text has not.
    """
    units = selection.units
    rows, columns = _shown_within(units, window, selection.within, special=special)
    return [
        HeadMap(
            units.layers[layer],
            head,
            (units.weights[layer].mean(0) if head is None else units.weights[layer, head])[np.ix_(rows, columns)],
            rows,
            columns,
        )
        for layer, head in pick_heads(units, selection.strength + selection.heads, wanted)
    ]


def pick_heads(units: Reading, strength: NDArray[np.float64], wanted: Heads) -> list[tuple[int, int | None]]:
    """The wanted heads by their places in ``strength`` (L, H); where layer or head is left open, the strongest.

    The head of a layer's mean is None. ``strength`` is the largest weight of each head, and 1 more where it counts:
    such heads come first; among the others (all positional, or no pair) the largest link decides.

    Raises:
        UsageError: a layer or head that the model does not have.
    """
    count, width = strength.shape
    some = "" if units.layers == tuple(range(count)) else "attention in "
    _require("layer", wanted.layers, units.layers, f"this model has {some}layers")
    _require("head", wanted.heads, range(width), "each layer of this model has heads")
    asked = [units.layers.index(number) for number in wanted.layers or ()]
    if wanted.mean:
        return [(layer, None) for layer in asked or range(count)]
    if wanted.heads is not None:
        layers = asked or [int(strength[:, wanted.heads].max(1).argmax())]
        return [(layer, head) for layer in layers for head in wanted.heads]
    if asked:
        return [(layer, int(strength[layer].argmax())) for layer in asked]
    layer, head = divmod(int(strength.argmax()), width)
    return [(layer, head)]


def _require(what: str, wanted: Sequence[int] | None, there: Sequence[int], owner: str) -> None:
    for number in wanted or ():
        if number not in there:
            gapless = there[-1] - there[0] == len(there) - 1
            listed = f"{there[0]}–{there[-1]}" if gapless else ", ".join(map(str, there))
            raise UsageError(f"no {what} {number}: {owner} {listed}")
