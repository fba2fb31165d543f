"""Find the words of a text by the boundaries of Unicode Standard Annex 29, and assign the tokens to them.

`don't` and `3.14` are one word; each Han character and each emoji sequence is one word; a script without spaces is
split wherever a piece of the tokenizer begins a character. A character is a grapheme cluster, what readers take for
one: with its accents, vowel signs and jamo. White space is not a word. Tokens of spaces belong to the word after them,
since most tokenizers write a word with the space before it; line breaks belong to the word before them.
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
"""Matches one character of each grapheme cluster that has several."""
_BREAKS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")

CharacterSpan = tuple[int, int, int]
"""The place of a token: the number of its text, and its first and last (exclusive) character."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word: the tokens ``start`` to ``stop`` (exclusive), and its spelling in the text."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a text may be split into words.

    Args:
        text: the text.
        words: the characters at which words begin or end.
        inside: the characters inside a grapheme cluster, where no word may begin or end.
        joined: the characters inside known words, which may contain white space.
    """

    text: str
    words: Collection[int]
    inside: Collection[int]
    joined: Collection[int] = frozenset()

    @classmethod
    def of(cls, text: str) -> Cuts:
        """Find the boundaries in a text."""
        return cls(text, _boundaries(text), _inside(text))

    def joining(self, known: Iterable[tuple[int, int]]) -> Cuts:
        """Return these boundaries with the ``known`` words (from and to, exclusive) whole and separate from their
        neighbours.
        """
        spans = list(known)
        joined = {at for start, stop in spans for at in range(start + 1, stop)}
        return replace(self, words=(set(self.words) - joined).union(*spans), joined=joined)

    def is_blank(self, place: CharacterSpan) -> bool:
        """Whether the token at ``place`` is white space only."""
        return not self.text[place[1] : place[2]].strip()

    def is_break(self, place: CharacterSpan) -> bool:
        """Whether the token at ``place`` is white space only, with a line break."""
        return self.is_blank(place) and not _BREAKS.isdisjoint(self.text[place[1] : place[2]])

    def are_apart(self, before: CharacterSpan, place: CharacterSpan) -> bool:
        """Whether the token at ``place`` begins a new word after the token at ``before``, both of the same text."""
        start = self._first(place[1], before[2] - 1)
        if start < before[2] or start in self.joined:
            return False  # both are pieces of one character, or of one word
        if any(character.isspace() for character in self.text[before[2] : place[1] + 1]):
            return True
        return start in self.words or start >= len(self.text)

    def whole(self, start: int, stop: int) -> str:
        """Return the text from ``start`` to ``stop``, extended to whole characters, without white space at its ends."""
        text = self.text
        stop = start + len(text[start:stop].rstrip())
        start = stop - len(text[start:stop].lstrip())
        while stop in self.inside:
            stop += 1
        return text[self._first(start) : stop]

    def _first(self, at: int, least: int = 0) -> int:
        """Return where the character at ``at`` begins, but not before ``least``."""
        while at > least and at in self.inside:
            at -= 1
        return at


def _boundaries(text: str) -> set[int]:
    """Return the characters at which words begin or end."""
    if text.isascii():
        return {cut.start() - 1 for cut in _BOUNDARY.finditer(" " + text) if 0 < cut.start() <= len(text)}
    # Combining marks never begin a word; they are removed, since regex sees a boundary before the quote of `é'` if the
    # accent is a mark. The space before the text keeps a joiner at its start from joining anything.
    bases = [i for i, character in enumerate(text) if not _is_mark(character)]
    stripped = "".join(text[i] for i in bases)
    return {bases[cut.start() - 1] for cut in _BOUNDARY.finditer(" " + stripped) if 0 < cut.start() <= len(bases)}


def _is_mark(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character)[0] == "M"


def _inside(text: str) -> set[int]:
    """Return all characters that are inside a grapheme cluster."""
    if not _JOINER.search(text):
        return set()
    return {i for found in _CLUSTER.finditer(text) for i in range(found.start() + 1, found.end())}


def word_starts(
    cuts: Sequence[Cuts], offsets: Sequence[CharacterSpan | None], whole: Collection[int] = ()
) -> list[bool]:
    """Return for each token whether it begins a word.

    Args:
        cuts: the boundaries of each text.
        offsets: the characters of each token; a token without any (a special token) is a word of its own.
        whole: the tokens that are words of their own too, such as ``[MASK]``.
    """
    begins: list[bool] = []
    blank: int | None = None  # the start of the current word while it is only white space
    before: CharacterSpan | None = None
    for i, place in enumerate(offsets):
        if place is None or before is None or before[0] != place[0]:
            begins.append(True)
            _end(begins, blank)
            blank = i if place and cuts[place[0]].is_blank(place) else None
        elif cuts[place[0]].is_break(place):
            begins.append(False)
            # Spaces before a line break belong to the line's last word, unless the text begins with them.
            if blank and offsets[blank - 1] is not None:
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
    """Join the white space from ``blank`` on, which no word follows, to the word before it."""
    if blank:
        begins[blank] = False


def cut_words(
    begins: Sequence[bool], tokens: Sequence[str], cuts: Sequence[Cuts], offsets: Sequence[CharacterSpan | None]
) -> tuple[Word, ...]:
    """Return the words that begin where ``begins`` says, spelt as in the text, or by their token if it has no place."""
    starts = [i for i, begin in enumerate(begins) if begin]
    words = []
    for start, stop in pairwise([*starts, len(tokens)]):
        label, first = tokens[start], offsets[start]
        if first is not None:
            end = max(place[2] for place in offsets[start:stop] if place and place[0] == first[0])
            label = cuts[first[0]].whole(first[1], end) or cuts[first[0]].text[first[1] : end] or label
        words.append(Word(label, start, stop))
    return tuple(words)


def is_blank(token: str) -> bool:
    """Whether a readable token is white space only."""
    return not token.strip("▁").strip()


def is_punctuation(text: str) -> bool:
    """Whether ``text`` is only punctuation (Unicode's category P) and invisible characters (Z and C).

    Symbols count as words: emoji, currencies, and mathematical signs.
    """
    return all(unicodedata.category(character)[0] in "PZC" for character in text)
