"""A text that is longer than the model: it is read in windows that slide over it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar, overload

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


@dataclass(frozen=True, eq=False)
class Windows(Sequence[Window]):
    """The windows of a ``document``, each made when it is asked for: a long text has thousands.

    ``lead`` special tokens stand in front of each window's text and ``tail`` behind it. ``spans`` are the places of
    the text tokens that each has, from and to (exclusive), and ``kept`` those of the queries that are kept of it.
    ``whole_words`` says that no word is longer than a window, so that none is cut.
    """

    document: Encoding
    lead: int
    tail: int
    spans: Sequence[tuple[int, int]]
    kept: Sequence[tuple[int, int]]
    whole_words: bool = True

    @classmethod
    def of_one(cls, document: Encoding) -> Windows:
        """A document that is read at once, as one window that has no special tokens but the document's."""
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
            _part(document, lead, tail, *span), lead, *span, *self.kept[number], _places(document, lead, tail, *span)
        )

    @property
    def sample(self) -> list[Encoding]:
        """What the first, a middle and the last window read: where all would take too long."""
        return [self[number].encoding for number in self.sampled]

    @property
    def sampled(self) -> list[int]:
        """The numbers of the windows of the ``sample``."""
        return list(dict.fromkeys((0, len(self) // 2, len(self) - 1)))

    @property
    def widest(self) -> int:
        """How many tokens the longest has."""
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
    lead, tail = _around(tokenizer, document, marks=marks)
    room = limit - lead - tail
    if room < 1:
        raise InputError(f"the model takes {limit} tokens, and {lead + tail} are special: no room is left for a text")
    if stride is not None and not 1 <= stride <= room:
        special = f"; {lead + tail} more are special" if lead + tail else ""
        raise UsageError(f"--stride is {stride}, expected 1 to {room}: a window has {room} tokens of the text{special}")
    edges = _edges(document, lead, len(document) - tail, room)
    spans = _spans(edges, room, stride or -(-room // 2))
    cuts = [stop if causal else _at_most(edges, (after + stop) // 2) for (_, stop), (after, _) in pairwise(spans)]
    parts = pairwise([0, *cuts, len(document)])
    found = [(span, (first, last)) for span, (first, last) in zip(spans, parts, strict=True) if first < last]
    whole_words = all(word.stop - word.start <= room for word in document.words)
    kept = [part for _, part in found]
    return Windows(document, lead, tail, [span for span, _ in found], kept, whole_words)


def _around(tokenizer: Tokenizer, document: Encoding, *, marks: bool) -> tuple[int, int]:
    """How many special tokens the tokenizer adds in front of a text and behind it."""
    # A word shows it as well as all of the text, unless it is nothing to the tokenizer when it stands alone.
    word = next((word.text for word in document.words if not document.special[word.start]), document.text)
    for text in (word, document.text):
        added = tokenizer.encode(text, add_special_tokens=marks).special_tokens_mask
        if 0 in added:
            break
    return added.index(0), added[::-1].index(0)


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


def _part(document: Encoding, lead: int, tail: int, start: int, stop: int) -> Encoding:
    """The tokens from ``start`` to ``stop`` between the special ones."""
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
