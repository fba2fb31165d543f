"""Everything that ``show`` says of one input, as numbers: what the terminal and the JSON document are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis import metrics
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
from attnviz.analysis.units import Units, in_tokens, in_words
from attnviz.errors import UsageError
from attnviz.record import Array, Attention

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
    """The weights of one head, or the mean of a layer's (``head`` is None), between the units ``shown``."""

    layer: int
    head: int | None
    weights: Array
    shown: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Summary:
    """One input's findings. ``overview`` is (L, H), NaN where the head is left out (positional)."""

    attention: Attention
    selection: Selection
    links: list[Link]
    special_share: float
    punctuation_share: float
    positional: list[Positional]
    cell: Cell
    overview: NDArray[np.float64]
    maps: list[HeadMap]
    attended: list[Attended]

    @property
    def units(self) -> Units:
        """The words or tokens that all of it is about."""
        return self.selection.units


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
        UsageError: a layer, head or word that there is not.
    """
    pieces = in_tokens(attention)
    units = pieces if tokens else in_words(attention)
    positional = positional_heads(attention)
    selection = select(units, positional, causal=attention.causal, special=special, everything=everything)
    queries = [i for word in words for i in find_unit(units, word)] if words else np.flatnonzero(selection.queries)
    return Summary(
        attention=attention,
        selection=selection,
        links=strongest(selection, links),
        special_share=metrics.share(attention.weights, pieces.special),
        punctuation_share=metrics.share(attention.weights, pieces.punctuation),
        positional=positional,
        cell=cell,
        overview=_overview(attention, selection, cell),
        maps=pick_maps(selection, heads or Heads(), special=special or everything),
        attended=top_attended(selection, [int(i) for i in queries], top),
    )


def _overview(attention: Attention, selection: Selection, cell: Cell) -> NDArray[np.float64]:
    match cell:
        case "link":
            return np.where(selection.heads, selection.strength, np.nan)
        case "entropy":
            return metrics.entropy(attention.weights)
        case "distance":
            return metrics.distance(attention.weights)
        case "sink":
            return metrics.sink(attention.weights, attention.causal)


def shown_units(units: Units, *, special: bool) -> NDArray[np.intp]:
    """The units that a map shows: all, or the words without special tokens and punctuation where two are left."""
    words = np.flatnonzero(~(units.special | units.punctuation))
    return np.arange(len(units)) if special or len(words) < 2 else words


def pick_maps(selection: Selection, wanted: Heads, *, special: bool) -> list[HeadMap]:
    """The maps of the wanted heads; where layer or head is left open, the one with the strongest link.

    Raises:
        UsageError: a layer or head that the model does not have.
    """
    units = selection.units
    count, width = units.weights.shape[:2]
    _require("layer", wanted.layers, count, "this model")
    _require("head", wanted.heads, width, "each layer of this model")
    shown = shown_units(units, special=special)
    if wanted.mean:
        layers = wanted.layers if wanted.layers is not None else range(count)
        return [HeadMap(layer, None, units.weights[layer].mean(0), shown) for layer in layers]
    # Heads that count come first; among the others (all positional, or no pair) the largest link decides.
    strength = selection.strength + selection.heads
    if wanted.layers is None and wanted.heads is None:
        pairs = [divmod(int(strength.argmax()), width)]
    elif wanted.heads is None:
        pairs = [(layer, int(strength[layer].argmax())) for layer in wanted.layers or ()]
    else:
        some = wanted.layers or (int(strength[:, wanted.heads].max(1).argmax()),)
        pairs = [(layer, head) for layer in some for head in wanted.heads]
    return [HeadMap(layer, head, units.weights[layer, head], shown) for layer, head in pairs]


def _require(what: str, numbers: tuple[int, ...] | None, count: int, owner: str) -> None:
    for number in numbers or ():
        if not 0 <= number < count:
            raise UsageError(f"no {what} {number}: {owner} has {what}s 0–{count - 1}")
