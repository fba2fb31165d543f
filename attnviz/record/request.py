"""What is asked of a text: one value that the command line, Python and batch all make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from attnviz.errors import not_one_of
from attnviz.record.attention import MapName

Unit = Literal["token", "word", "sentence", "line", "paragraph"]
Cell = Literal["link", "entropy", "sink", "distance"]
Span = tuple[int | None, int | None]
"""From a unit's number to another's (exclusive); None is the first, or the end."""


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


@dataclass(frozen=True)
class Crop:
    """The rows and columns that are wanted of every map, by the numbers of their units."""

    rows: Span = (None, None)
    columns: Span = (None, None)


@dataclass(frozen=True)
class Request:
    """What is asked of a text, and so what is observed of it.

    Attributes:
        unit: what rows, columns and links are counted in.
        special: special tokens, punctuation and sinks count too.
        everything: everything counts: function words, positional heads and self-links as well.
        words: the units whose attention is wanted (``the:2``); none is all that count.
        passage: some words of the text: only they look, in all that is found but positional heads and new tokens.
        generated: only the tokens look that the model wrote: to each belongs the row of the token before it, from
            which it was predicted.
        per_token: weights are divided by how many tokens of the key's unit the query sees.
        heads: the heads whose maps are wanted.
        crop: the part of the maps that is wanted.
        cell: what a cell of the overview is.
        top: how many keys a unit gets.
        links: how many links are listed.
        size: the most cells across and down of a map; None is all weights where there is memory for them.
        language: the code of the language whose function words do not count.
        map: which of an encoder–decoder's three maps; None is the cross map.
        evidence: keep of the run what a check needs.
    """

    unit: Unit = "word"
    special: bool = False
    everything: bool = False
    words: tuple[str, ...] = ()
    passage: str | None = None
    generated: bool = False
    per_token: bool = False
    heads: Heads = Heads()
    crop: Crop = Crop()
    cell: Cell = "link"
    top: int = 3
    links: int = 8
    size: int | None = None
    language: str = "en"
    map: MapName | None = None
    evidence: bool = True

    def __post_init__(self) -> None:
        """Raise a ``UsageError`` for a unit that there is not."""
        known = get_args(Unit)
        if self.unit not in known:
            raise not_one_of("`unit`", str(self.unit), known)
