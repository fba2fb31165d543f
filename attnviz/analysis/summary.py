"""Everything that ``show`` says of one input, as numbers: what the terminal and the JSON document are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis import metrics
from attnviz.analysis.far import Far, Passage, Profile
from attnviz.analysis.links import (
    Attended,
    Link,
    Positional,
    Selection,
    find_unit,
    positional_heads,
    select,
    strongest,
    top_attended,
)
from attnviz.analysis.units import Axis, Mask, Reading, Units, in_tokens, in_words
from attnviz.errors import UsageError
from attnviz.record import Array, Attention, Survey

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
    the largest weight and begins at its unit in ``rows`` and ``columns``.
    """

    layer: int
    head: int | None
    weights: Array
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    down: int = 1
    across: int = 1


@dataclass(frozen=True, eq=False)
class Summary:
    """One input's findings, from all of its weights or from what a survey kept of them.

    ``units`` are the words or tokens that all of it is about, ``pieces`` the tokens. ``looking`` (n,), ``looked_at``
    (m,) and ``heads`` (L, H) are the units and heads that count. ``overview`` is (L, H), NaN where the head does not.
    ``generated`` has a row for each token that the model wrote: what the token before it looks at, since from there it
    was predicted; ``query_index + 1`` is the token's own place. ``far``, ``profile`` and ``passages`` are found where
    the record is a survey.
    """

    attention: Attention | Survey
    units: Reading
    pieces: Reading
    looking: Mask
    looked_at: Mask
    heads: Mask
    links: list[Link]
    special_share: float
    punctuation_share: float
    positional: list[Positional]
    cell: Cell
    overview: NDArray[np.float64]
    maps: list[HeadMap]
    attended: list[Attended]
    generated: list[Attended]
    far: list[Far] = field(default_factory=list)
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
    cell: Cell = "link",
    top: int = 3,
    links: int = 8,
) -> Summary:
    """Find what ``show`` prints.

    Args:
        tokens: read the record in tokens, not in words.
        special: special tokens, punctuation and sinks count too.
        everything: everything counts: function words, positional heads and self-links as well.
        heads: the heads whose maps are wanted; None is the head of the strongest link.
        words: the units whose attention is wanted (``the:2``); none is all that count.
        cell: what a cell of the overview is.
        top: how many keys a word gets.
        links: how many links are listed.

    Raises:
        UsageError: a layer, head or word that there is not; a distance between two texts.
    """
    pieces = in_tokens(attention)
    units = pieces if tokens else in_words(attention)
    positional = positional_heads(attention)
    selection = select(units, positional, causal=attention.causal, special=special, everything=everything)
    queries = [i for word in words for i in find_unit(units, word)] if words else np.flatnonzero(selection.queries)
    return Summary(
        attention=attention,
        units=units,
        pieces=pieces,
        looking=selection.queries,
        looked_at=selection.keys,
        heads=selection.heads,
        links=strongest(selection, links),
        special_share=metrics.share(attention.weights, pieces.keys.special),
        punctuation_share=metrics.share(attention.weights, pieces.keys.punctuation),
        positional=positional,
        cell=cell,
        overview=_overview(attention, selection, cell),
        maps=pick_maps(selection, heads or Heads(), special=special or everything),
        attended=top_attended(selection, [int(i) for i in queries], top),
        generated=_generated(attention, pieces, positional, top, special=special, everything=everything),
    )


def _generated(
    attention: Attention, pieces: Units, positional: list[Positional], top: int, *, special: bool, everything: bool
) -> list[Attended]:
    """The rows that predicted the generated tokens, each that of the token before; before the first there is none."""
    n = len(attention.tokens)
    makers = range(max(n - attention.encoding.generated, 1) - 1, n - 1)
    if not makers:
        return []
    # A new token is made from anything that stands there, function words and the last token included.
    making = select(pieces, positional, causal=attention.causal, special=special, function=True, everything=everything)
    return top_attended(replace(making, itself=True), makers, top)


def _overview(attention: Attention, selection: Selection, cell: Cell) -> NDArray[np.float64]:
    match cell:
        case "link":
            return np.where(selection.heads, selection.strength, np.nan)
        case "entropy":
            return metrics.entropy(attention.weights)
        case "distance" if attention.keys is not None:
            raise UsageError("there is no distance between two texts", hint="Ask for link, entropy or sink.")
        case "distance":
            return metrics.distance(attention.weights)
        case "sink":
            return metrics.sink(attention.weights, attention.causal)


def shown_units(axis: Axis, *, special: bool) -> NDArray[np.intp]:
    """The units that a map shows: all, or the words without special tokens and punctuation where two are left."""
    words = np.flatnonzero(~(axis.special | axis.punctuation))
    return np.arange(len(axis)) if special or len(words) < 2 else words


def pick_maps(selection: Selection, wanted: Heads, *, special: bool) -> list[HeadMap]:
    """The maps of the wanted heads; where layer or head is left open, the one with the strongest link.

    Raises:
        UsageError: a layer or head that the model does not have.
    """
    units = selection.units
    count, width = units.weights.shape[:2]
    some = "" if units.layers == tuple(range(count)) else "attention in "
    _require("layer", wanted.layers, units.layers, f"this model has {some}layers")
    _require("head", wanted.heads, range(width), "each layer of this model has heads")
    rows, columns = (shown_units(axis, special=special) for axis in (units.queries, units.keys))
    asked = [units.layers.index(number) for number in wanted.layers or ()]
    if wanted.mean:
        return [
            HeadMap(units.layers[layer], None, units.weights[layer].mean(0)[np.ix_(rows, columns)], rows, columns)
            for layer in asked or range(count)
        ]
    # Heads that count come first; among the others (all positional, or no pair) the largest link decides.
    strength = selection.strength + selection.heads
    if wanted.heads is not None:
        layers = asked or [int(strength[:, wanted.heads].max(1).argmax())]
        pairs = [(layer, head) for layer in layers for head in wanted.heads]
    elif asked:
        pairs = [(layer, int(strength[layer].argmax())) for layer in asked]
    else:
        pairs = [divmod(int(strength.argmax()), width)]
    return [
        HeadMap(units.layers[layer], head, units.weights[layer, head][np.ix_(rows, columns)], rows, columns)
        for layer, head in pairs
    ]


def _require(what: str, wanted: Sequence[int] | None, there: Sequence[int], owner: str) -> None:
    for number in wanted or ():
        if number not in there:
            gapless = there[-1] - there[0] == len(there) - 1
            listed = f"{there[0]}–{there[-1]}" if gapless else ", ".join(map(str, there))
            raise UsageError(f"no {what} {number}: {owner} {listed}")
