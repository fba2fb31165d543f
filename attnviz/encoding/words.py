"""Where words begin: tokens that stand in a text are cut at the boundaries of Unicode Standard Annex 29.

`don't` and `3.14` are one word, each Han character and each emoji sequence is one; a script without spaces is cut
wherever a piece of the tokenizer begins a character. A character is what a reader takes for one, a whole grapheme
cluster: with its accents, vowel signs and jamo. White space is no word. Spaces that are tokens by themselves belong to
the word after them, since most tokenizers write a word with the space before it; line breaks belong to the word that
they end.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import regex

_BOUNDARY = regex.compile(r"(?V1w)\b")
_CLUSTER = regex.compile(r"\X")
_JOINER = regex.compile(
    r"[\r\p{GCB=EX}\p{GCB=SM}\p{GCB=PP}\p{GCB=ZWJ}\p{GCB=RI}\p{GCB=L}\p{GCB=V}\p{GCB=T}]", regex.VERSION1
)
"""Of these each grapheme cluster of several characters has one."""
_BREAKS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")

CharacterSpan = tuple[int, int, int]
"""Where a token stands: in which text, and from which character to which (exclusive)."""


@dataclass(frozen=True, slots=True)
class Word:
    """A reader's word: the tokens ``start`` to ``stop`` (exclusive) and how the text writes it."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a ``text`` may be cut into words: at ``words``, and never ``inside`` a grapheme cluster.

    The places ``joined`` are inside words that are known to be whole, be there white space in them.
    """

    text: str
    words: Collection[int]
    inside: Collection[int]
    joined: Collection[int] = frozenset()

    @classmethod
    def of(cls, text: str) -> Cuts:
        """The boundaries of a text."""
        return cls(text, _boundaries(text), _inside(text))

    def joining(self, known: Iterable[tuple[int, int]]) -> Cuts:
        """With the ``known`` words, which are from and to (exclusive) these characters, whole and apart."""
        spans = list(known)
        joined = {at for start, stop in spans for at in range(start + 1, stop)}
        return replace(self, words=(set(self.words) - joined).union(*spans), joined=joined)

    def is_blank(self, place: CharacterSpan) -> bool:
        """Whether there is nothing but white space at ``place``."""
        return not self.text[place[1] : place[2]].strip()

    def is_break(self, place: CharacterSpan) -> bool:
        """Whether there is nothing but white space at ``place``, and a line ends in it."""
        return self.is_blank(place) and not _BREAKS.isdisjoint(self.text[place[1] : place[2]])

    def are_apart(self, before: CharacterSpan, place: CharacterSpan) -> bool:
        """Whether a word begins at ``place``, the token ``before`` which is at another place of the same text."""
        start = self._first(place[1], before[2] - 1)
        if start < before[2] or start in self.joined:
            return False  # both are pieces of one character, or of one word
        if any(character.isspace() for character in self.text[before[2] : place[1] + 1]):
            return True
        return start in self.words or start >= len(self.text)

    def whole(self, start: int, stop: int) -> str:
        """The text from ``start`` to ``stop``, with all of the characters at its ends, without white space there."""
        text = self.text
        stop = start + len(text[start:stop].rstrip())
        start = stop - len(text[start:stop].lstrip())
        while stop in self.inside:
            stop += 1
        return text[self._first(start) : stop]

    def _first(self, at: int, least: int = 0) -> int:
        """Where the character begins that is at ``at``, or ``least`` where it begins before."""
        while at > least and at in self.inside:
            at -= 1
        return at


def _boundaries(text: str) -> set[int]:
    if text.isascii():
        return {cut.start() - 1 for cut in _BOUNDARY.finditer(" " + text) if 0 < cut.start() <= len(text)}
    # Marks never begin a word; left out, since regex takes `é'` for a word's end where the accent is a mark. The space
    # before the text keeps a joiner at its start, which joins nothing, from joining.
    bases = [i for i, character in enumerate(text) if not _is_mark(character)]
    stripped = "".join(text[i] for i in bases)
    return {bases[cut.start() - 1] for cut in _BOUNDARY.finditer(" " + stripped) if 0 < cut.start() <= len(bases)}


def _is_mark(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character)[0] == "M"


def _inside(text: str) -> set[int]:
    """All places that are inside a grapheme cluster."""
    if not _JOINER.search(text):
        return set()
    return {i for found in _CLUSTER.finditer(text) for i in range(found.start() + 1, found.end())}


def word_starts(
    cuts: Sequence[Cuts], places: Sequence[CharacterSpan | None], whole: Collection[int] = ()
) -> list[bool]:
    """Say for each token whether it begins a word. A token without a place (a special one) is a word of its own.

    The tokens ``whole`` are words of their own too, such as ``[MASK]``.
    """
    begins: list[bool] = []
    blank: int | None = None  # where the word begins that is white space so far
    before: CharacterSpan | None = None
    for i, place in enumerate(places):
        if place is None or before is None or before[0] != place[0]:
            begins.append(True)
            _end(begins, blank)
            blank = i if place and cuts[place[0]].is_blank(place) else None
        elif cuts[place[0]].is_break(place):
            begins.append(False)
            # Spaces in front of it end the line too, unless the text begins so.
            if blank and places[blank - 1] is not None:
                _end(begins, blank)
                blank = None
        else:
            apart = i in whole or i - 1 in whole or cuts[place[0]].are_apart(before, place)
            begins.append(apart and blank is None)
            if not cuts[place[0]].is_blank(place):
                blank = None
            elif begins[i]:
                blank = i
        before = place
    _end(begins, blank)
    return begins


def _end(begins: list[bool], blank: int | None) -> None:
    """Give white space from ``blank`` on, which no word follows, to what is before it."""
    if blank:
        begins[blank] = False


def cut_words(
    begins: Sequence[bool], tokens: Sequence[str], cuts: Sequence[Cuts], places: Sequence[CharacterSpan | None]
) -> tuple[Word, ...]:
    """The words that begin where ``begins`` says, written as their text writes them, or by their token."""
    starts = [i for i, begin in enumerate(begins) if begin]
    words = []
    for start, stop in pairwise([*starts, len(tokens)]):
        label, first = tokens[start], places[start]
        if first is not None:
            end = max(place[2] for place in places[start:stop] if place and place[0] == first[0])
            label = cuts[first[0]].whole(first[1], end) or cuts[first[0]].text[first[1] : end] or label
        words.append(Word(label, start, stop))
    return tuple(words)


def is_blank(token: str) -> bool:
    """Whether a readable token is white space alone."""
    return not token.strip("▁").strip()


def is_punctuation(text: str) -> bool:
    """Whether ``text`` is only punctuation (Unicode's category P) and what can't be seen (Z and C).

    Symbols are words: emoji, currencies, and the signs of mathematics.
    """
    return all(unicodedata.category(character)[0] in "PZC" for character in text)
