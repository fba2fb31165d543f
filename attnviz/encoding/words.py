"""Where words begin: tokens that stand in a text are cut at the boundaries of Unicode Standard Annex 29.

`don't` and `3.14` are one word, each Han character and each emoji sequence is one; a script without spaces is cut
wherever a piece of the tokenizer begins a character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import regex

_BOUNDARY = regex.compile(r"(?V1w)\b")

Span = tuple[int, int, int]
"""Where a token stands: in which text, and from which character to which (exclusive)."""


@dataclass(frozen=True, slots=True)
class Word:
    """A reader's word: the tokens ``start`` to ``stop`` (exclusive) and how the text writes it."""

    text: str
    start: int
    stop: int


def begin_words(texts: Sequence[str], places: Sequence[Span | None]) -> list[bool]:
    """Say for each token whether it begins a word. A token without a place (a special one) is a word of its own."""
    cuts = [_boundaries(text) for text in texts]
    apart = (_are_apart(texts, cuts, before, place) for before, place in pairwise(places))
    return [True, *apart] if places else []


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


def _are_apart(texts: Sequence[str], cuts: Sequence[set[int]], before: Span | None, place: Span | None) -> bool:
    if before is None or place is None or before[0] != place[0]:
        return True
    text, start = texts[place[0]], place[1]
    if start < before[2]:
        return False  # both are pieces of one character
    blank = text[before[1] : before[2]]
    if not blank.strip() and not {"\r", "\n"} & set(blank):
        return False  # a space that is a token by itself, or a bare "▁": the word after it begins with it
    if any(character.isspace() for character in text[before[2] : start + 1]):
        return text[start - 1 : start + 1] != "\r\n"
    return start in cuts[place[0]] or start >= len(text)


def cut_words(
    begins: Sequence[bool], tokens: Sequence[str], texts: Sequence[str], places: Sequence[Span | None]
) -> tuple[Word, ...]:
    """The words that begin where ``begins`` says, written as their text writes them, or by their token."""
    starts = [i for i, begin in enumerate(begins) if begin]
    words = []
    for start, stop in pairwise([*starts, len(tokens)]):
        first, last = places[start], places[stop - 1]
        label = tokens[start]
        if first is not None and last is not None:
            text, end = texts[first[0]], last[2]
            # A normalizer that drops accents leaves them out of the last token's span.
            while end < len(text) and _is_mark(text[end]):
                end += 1
            written = text[first[1] : end]
            label = written.strip() or written or label
        words.append(Word(label, start, stop))
    return tuple(words)


def is_punctuation(text: str) -> bool:
    """Whether ``text`` is only punctuation, symbols (Unicode categories P and S) and what can't be seen (Z and C)."""
    return all(unicodedata.category(character)[0] in "PSZC" for character in text)
