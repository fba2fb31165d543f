"""Split a text that is longer than the model's limit into overlapping windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding.encoding import Encoding
from attnviz.encoding.words import Word
from attnviz.errors import InputError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a longer text, the document, that the model reads at once.

    All positions are those of tokens in the document.

    Args:
        encoding: the window's tokens, with the special tokens that the tokenizer adds; its ``text`` is the document's.
        lead: the number of special tokens at the front.
        start: the first text token.
        stop: the last text token (exclusive).
        first: the first query that is kept.
        last: the last query that is kept (exclusive).
        places: the position of each token (T,); special tokens have those of the special tokens at the document's ends.
    """

    encoding: Encoding
    lead: int
    start: int
    stop: int
    first: int
    last: int
    positions: NDArray[np.intp]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Whether each of the window's tokens is kept as a query, (T,)."""
        kept = np.zeros(len(self.positions), bool)
        kept[self.first - self.start + self.lead : self.last - self.start + self.lead] = True
        return kept


@dataclass(frozen=True, eq=False)
class Windows(Sequence[Window]):
    """The windows of a document, each made when it is accessed, since a long text has thousands.

    Args:
        document: the encoding of the whole text.
        lead: the number of special tokens at the front of each window.
        tail: the number of special tokens at the end of each window.
        spans: the text tokens of each window, from and to (exclusive).
        kept: the queries that are kept of each window, from and to (exclusive).
        whole_words: whether no word is longer than a window, so that none is split.
    """

    document: Encoding
    lead: int
    tail: int
    spans: Sequence[tuple[int, int]]
    kept: Sequence[tuple[int, int]]
    whole_words: bool = True

    @classmethod
    def of_one(cls, document: Encoding) -> Windows:
        """Return a document that fits the model as a single window."""
        all_ = [(0, len(document))]
        return cls(document, 0, 0, all_, all_)

    def __len__(self) -> int:
        return len(self.spans)

    @overload
    def __getitem__(self, number: int) -> Window: ...

    @overload
    def __getitem__(self, number: slice) -> Windows: ...

    def __getitem__(self, number: int | slice) -> Window | Windows:
        if isinstance(number, slice):
            return replace(self, spans=self.spans[number], kept=self.kept[number])
        document, lead, tail, span = self.document, self.lead, self.tail, self.spans[number]
        return Window(
            _part(document, lead, tail, *span), lead, *span, *self.kept[number], _positions(document, lead, tail, *span)
        )

    @property
    def sample(self) -> list[Encoding]:
        """The encodings of the first, a middle and the last window, for use where all would take too long."""
        return [self[number].encoding for number in self.sampled]

    @property
    def sampled(self) -> list[int]:
        """The numbers of the windows of the ``sample``."""
        return list(dict.fromkeys((0, len(self) // 2, len(self) - 1)))

    @property
    def widest(self) -> int:
        """The number of tokens of the longest window."""
        return self.lead + self.tail + max(stop - start for start, stop in self.spans)


def slide_windows(
    tokenizer: Tokenizer,
    document: Encoding,
    *,
    limit: int,
    causal: bool,
    stride: int | None = None,
    marks: bool = True,
) -> Windows:
    """Split ``document``, one text that was encoded as a whole, into windows of at most ``limit`` tokens.

    A window begins at most ``stride`` tokens after the one before, and the last one reaches back as far as it has room.
    Windows begin and end between words; only a word that is longer than a window is split. Each token of the document
    is kept as a query of exactly one window. For a ``causal`` model that is the first window that contains it, so that
    it sees all earlier text in the overlap. Otherwise overlaps are divided in the middle, so that the shorter side of
    its context is as long as possible. The kept part of a window begins and ends between words too.

    Args:
        tokenizer: the tokenizer that encoded the document.
        document: the encoding of the whole text.
        limit: the number of positions that the model has.
        causal: whether no query sees a later key.
        stride: the number of tokens from one window to the next; None for half of a window's text tokens.
        marks: as for ``encode``; False for a text with special tokens of its own: windows then have none.

    Raises:
        InputError: special tokens take all of the model's positions.
        UsageError: ``stride`` is below 1, or so large that windows would leave tokens out.
    """
    lead, tail = _around(tokenizer, document, marks=marks)
    room = limit - lead - tail
    if room < 1:
        raise InputError(f"the model takes {limit} tokens, and {lead + tail} are special: no room is left for a text")
    if stride is not None and not 1 <= stride <= room:
        special = f"; {lead + tail} more are special" if lead + tail else ""
        raise UsageError(f"`stride` is {stride}, expected 1 to {room}: a window has {room} tokens of the text{special}")
    edges = _edges(document, lead, len(document) - tail, room)
    spans = _spans(edges, room, stride or -(-room // 2))
    cuts = [stop if causal else _at_most(edges, (after + stop) // 2) for (_, stop), (after, _) in pairwise(spans)]
    parts = pairwise([0, *cuts, len(document)])
    found = [(span, (first, last)) for span, (first, last) in zip(spans, parts, strict=True) if first < last]
    whole_words = all(word.stop - word.start <= room for word in document.words)
    kept = [part for _, part in found]
    return Windows(document, lead, tail, [span for span, _ in found], kept, whole_words)


def _around(tokenizer: Tokenizer, document: Encoding, *, marks: bool) -> tuple[int, int]:
    """Return how many special tokens the tokenizer adds before and after a text."""
    # One word is enough to see it, unless the tokenizer makes nothing of the word alone.
    word = next((word.text for word in document.words if not document.special[word.start]), document.text)
    for text in (word, document.text):
        added = tokenizer.encode(text, add_special_tokens=marks).special_tokens_mask
        if 0 in added:
            break
    return added.index(0), added[::-1].index(0)


def _edges(document: Encoding, first: int, stop: int, room: int) -> list[int]:
    """Return the tokens at which windows may begin or end: word starts, and each token of a word beyond ``room``."""
    edges: list[int] = []
    for word in document.words:
        if first <= word.start < stop:
            edges += [word.start] if word.stop - word.start <= room else range(word.start, word.stop)
    return [*edges, stop]


def _spans(edges: Sequence[int], room: int, stride: int) -> list[tuple[int, int]]:
    """Return the text tokens of all windows, from and to (exclusive)."""
    spans = []
    start, end = edges[0], edges[-1]
    while start + room < end:
        spans.append((start, _at_most(edges, start + room)))
        start = max(_at_most(edges, start + stride), edges[bisect_right(edges, start)])
    return [*spans, (edges[bisect_left(edges, end - room)], end)]


def _at_most(edges: Sequence[int], place: int) -> int:
    """Return the last edge that is not after ``place``."""
    return edges[bisect_right(edges, place) - 1]


def _positions(document: Encoding, lead: int, tail: int, start: int, stop: int) -> NDArray[np.intp]:
    """Return the document's positions of a window's tokens, (T,)."""
    end = len(document)
    return np.concatenate((np.arange(lead), np.arange(start, stop), np.arange(end - tail, end)))


def _part(document: Encoding, lead: int, tail: int, start: int, stop: int) -> Encoding:
    """Return the tokens from ``start`` to ``stop``, between the special tokens at the document's ends."""
    end = len(document) - tail
    parts = slice(lead), slice(start, stop), slice(end, None)
    begins = attrgetter("start")
    before = document.words[: bisect_left(document.words, lead, key=begins)]
    first, last = bisect_right(document.words, start, key=begins) - 1, bisect_left(document.words, stop, key=begins)
    inside, after = document.words[first:last], document.words[bisect_left(document.words, end, key=begins) :]
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
    source = document.source and replace(document.source, window=(lead, start, stop, tail))
    return replace(
        document,
        source=source,
        ids=_joined(document.ids, parts),
        type_ids=_joined(document.type_ids, parts),
        tokens=_joined(document.tokens, parts),
        special=_joined(document.special, parts),
        words=words,
    )


def _joined(values: tuple[_Value, ...], parts: Sequence[slice]) -> tuple[_Value, ...]:
    return tuple(chain.from_iterable(values[part] for part in parts))
