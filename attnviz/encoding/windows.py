"""A text that is longer than the model: it is read in windows that slide over it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding.encode import Encoding
from attnviz.encoding.words import Word
from attnviz.errors import InputError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class Window:
    """What the model reads at once of a longer text, the document.

    ``encoding`` has the ids, tokens and words of the window, with the special tokens that the tokenizer puts around a
    text, ``lead`` of them in front; its ``text`` is the document's. ``start`` and ``stop`` (exclusive) are the places
    in the document of the text tokens that it has, ``first`` and ``last`` (exclusive) of the queries that are kept of
    it. ``places`` (T,) are those of all its tokens, its special tokens being those at the document's ends.
    """

    encoding: Encoding
    lead: int
    start: int
    stop: int
    first: int
    last: int
    places: NDArray[np.intp]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(T,): which of the window's tokens are kept as queries."""
        kept = np.zeros(len(self.places), bool)
        kept[self.first - self.start + self.lead : self.last - self.start + self.lead] = True
        return kept


def slide(
    tokenizer: Tokenizer,
    document: Encoding,
    *,
    limit: int,
    causal: bool,
    stride: int | None = None,
    marks: bool = True,
) -> tuple[Window, ...]:
    """Cut the ``document``, one text that was encoded as a whole, into windows of at most ``limit`` tokens.

    A window begins at most ``stride`` tokens after the one before, and the last reaches back as far as it has room.
    Windows begin and end between words; only a word that is longer than a window is cut. Each token of the document is
    kept as a query from exactly one window. In a ``causal`` model that is the first that has it, so that it sees what
    the overlap has of the text before it. Else it is the one where the side with less of the text has more of it;
    that is, overlaps are parted in the middle. What is kept of a window begins and ends between words too.

    Args:
        stride: half of the text tokens of a window where it is None.
        marks: as the document was encoded; False for a text with special tokens of its own, windows have none then.

    Raises:
        InputError: the model takes special tokens only.
        UsageError: a ``stride`` below 1, or so large that windows would leave out what is between them.
    """
    added = tokenizer.encode(document.text, add_special_tokens=marks).special_tokens_mask
    lead, tail = added.index(0), added[::-1].index(0)
    room = limit - lead - tail
    if room < 1:
        raise InputError(f"the model takes {limit} tokens, and {lead + tail} are special: no room is left for a text")
    if stride is not None and not 1 <= stride <= room:
        special = f"; {lead + tail} more are special" if lead + tail else ""
        raise UsageError(f"--stride is {stride}, expected 1 to {room}: a window has {room} tokens of the text{special}")
    edges = _edges(document, lead, len(document) - tail, room)
    spans = _spans(edges, room, stride or -(-room // 2))
    cuts = [stop if causal else _at_most(edges, (after + stop) // 2) for (_, stop), (after, _) in pairwise(spans)]
    kept = pairwise([0, *cuts, len(document)])
    starts = [word.start for word in document.words]
    return tuple(
        Window(
            _part(document, starts, lead, tail, *span), lead, *span, first, last, _places(document, lead, tail, *span)
        )
        for span, (first, last) in zip(spans, kept, strict=True)
        if first < last
    )


def _edges(document: Encoding, first: int, stop: int, room: int) -> list[int]:
    """Where windows may begin and end: between words, and anywhere in a word that is longer than ``room``."""
    edges: list[int] = []
    for word in document.words:
        if first <= word.start < stop:
            edges += [word.start] if word.stop - word.start <= room else range(word.start, word.stop)
    return [*edges, stop]


def _spans(edges: Sequence[int], room: int, stride: int) -> list[tuple[int, int]]:
    """The text tokens of all windows, from and to (exclusive)."""
    spans = []
    start, end = edges[0], edges[-1]
    while start + room < end:
        spans.append((start, _at_most(edges, start + room)))
        start = max(_at_most(edges, start + stride), edges[bisect_right(edges, start)])
    return [*spans, (edges[bisect_left(edges, end - room)], end)]


def _at_most(edges: Sequence[int], place: int) -> int:
    return edges[bisect_right(edges, place) - 1]


def _places(document: Encoding, lead: int, tail: int, start: int, stop: int) -> NDArray[np.intp]:
    end = len(document)
    return np.concatenate((np.arange(lead), np.arange(start, stop), np.arange(end - tail, end)))


def _part(document: Encoding, starts: Sequence[int], lead: int, tail: int, start: int, stop: int) -> Encoding:
    """The tokens from ``start`` to ``stop`` between the special ones; ``starts`` are those of the words."""
    end = len(document) - tail
    parts = slice(lead), slice(start, stop), slice(end, None)
    before = document.words[: bisect_left(starts, lead)]
    inside = document.words[bisect_right(starts, start) - 1 : bisect_left(starts, stop)]
    after = document.words[bisect_left(starts, end) :]
    words = (
        *before,
        *(
            Word(word.text, max(word.start, start) - start + lead, min(word.stop, stop) - start + lead)
            for word in inside
        ),
        *(
            Word(word.text, word.start - end + lead + stop - start, word.stop - end + lead + stop - start)
            for word in after
        ),
    )
    return replace(
        document,
        ids=_joined(document.ids, parts),
        type_ids=_joined(document.type_ids, parts),
        tokens=_joined(document.tokens, parts),
        special=_joined(document.special, parts),
        words=words,
    )


def _joined(values: tuple[_Value, ...], parts: Sequence[slice]) -> tuple[_Value, ...]:
    return tuple(chain.from_iterable(values[part] for part in parts))
