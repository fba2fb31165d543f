"""Known words, which are not split: a list, of which the longest match counts, or the spans of one text's words."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import regex

from attnviz.encoding.words import Cuts
from attnviz.errors import InputError

LONGEST = 100
"""The most characters of a word in a list."""
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{M}]{2}")
"""Between two of these letters a word of the list may begin or end; elsewhere only at an ordinary word boundary."""

Range = tuple[int, int]


@dataclass(frozen=True)
class Lexicon:
    """The ``words`` of a list, or the ``spans`` of one text's words, from and to (exclusive) which character."""

    words: frozenset[str] = field(default=frozenset(), repr=False)
    spans: tuple[Range, ...] = ()

    @classmethod
    def of(cls, words: Lexicon | Iterable[str] | Iterable[Sequence[int]], name: str = "words") -> Lexicon:
        """Make a lexicon from a list of words, or of pairs (start, stop).

        Raises:
            InputError: the list is empty, a word has white space at its ends or is very long, or spans overlap.
        """
        if isinstance(words, Lexicon):
            return words
        if isinstance(words, str):
            raise InputError(f"{name} is a text, expected a list of words", hint="Give the words one by one: [...]")
        given: list[object] = list(words)
        if not given:
            raise InputError(f"{name} has no words", hint="Give one word a line.")
        if all(isinstance(word, str) for word in given):
            return cls(frozenset(_form for word in given for _form in _forms(str(word), name)))
        spans = [_range(word, name) for word in given]
        for before, after in zip(sorted(spans), sorted(spans)[1:], strict=False):
            if after[0] < before[1]:
                raise InputError(f"{name} has words that overlap: {list(before)} and {list(after)}")
        return cls(spans=tuple(sorted(spans)))

    @property
    def name(self) -> str:
        """The number of words in the list and a digest of them, which identify it."""
        digest = hashlib.sha256("\n".join(sorted(self.words)).encode("utf-8", "surrogatepass")).hexdigest()
        return f"{len(self.words):,} forms ({digest[:12]})"

    def shifted(self, by: int) -> Lexicon:
        """Return the lexicon for a longer text in which this one's text begins at the character ``by``."""
        return Lexicon(self.words, tuple((start + by, stop + by) for start, stop in self.spans))

    def cut(self, text: str, *, first: bool = True) -> Cuts:
        """Return where ``text`` may be split into words; spans apply to the ``first`` of two texts only.

        Raises:
            InputError: a span ends after the text, splits a character, or has white space at its ends.
        """
        cuts = Cuts.of(text)
        found = (self._checked(cuts) if first else []) if self.spans else list(self._found(cuts))
        return cuts.joining(found)

    def _checked(self, cuts: Cuts) -> Sequence[Range]:
        """Return the spans, verified against the text."""
        text = cuts.text
        for start, stop in self.spans:
            if stop > len(text):
                raise InputError(f"there is no word from {start} to {stop}: the text has {len(text):,} characters")
            if start in cuts.inside or stop in cuts.inside:
                raise InputError(f"the word from {start} to {stop} cuts a character apart: {text[start:stop]!r}")
            if text[start:stop].strip() != text[start:stop]:
                raise InputError(f"the word from {start} to {stop} has white space at its ends: {text[start:stop]!r}")
        return self.spans

    @cached_property
    def _lengths(self) -> Mapping[str, Sequence[int]]:
        """The lengths of the words, longest first, by their first character."""
        lengths = defaultdict[str, set[int]](set)
        for word in self.words:
            lengths[word[0]].add(len(word))
        return {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def _found(self, cuts: Cuts) -> Iterator[Range]:
        """Yield the matches of words in the text, from left to right, the longest first."""
        text, at = cuts.text, 0
        while at < len(text):
            lengths = self._lengths.get(text[at], ())
            stops = (at + length for length in lengths if text[at : at + length] in self.words)
            stop = next((stop for stop in stops if _may_end(cuts, stop)), None) if _may_end(cuts, at) else None
            if stop is not None:
                yield at, stop
            at = stop or at + 1


def _may_end(cuts: Cuts, at: int) -> bool:
    """Whether a word of the list may begin or end at the character ``at``."""
    if at in cuts.inside:
        return False
    return at in cuts.words or not 0 < at < len(cuts.text) or bool(_UNSPACED.match(cuts.text, at - 1))


def _forms(word: str, name: str) -> Iterator[str]:
    """Yield ``word`` as texts may write it: unchanged, and in Unicode's NFC and NFD forms."""
    if word.strip() != word or not word:
        raise InputError(f"{name} has a word with white space at its ends: {word!r}", hint="Give one word a line.")
    if len(word) > LONGEST:
        raise InputError(f"{name} has a word of {len(word):,} characters, expected {LONGEST} at most: {word[:20]!r}…")
    yield from (word, unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word))


def _range(value: object, name: str) -> Range:
    """Return ``value`` as a pair (start, stop); raise if it is not one."""
    if isinstance(value, Sequence) and len(value) == 2 and all(type(number) is int for number in value):
        start, stop = value
        if 0 <= start < stop:
            return start, stop
    raise InputError(
        f"{name} has {str(value)[:40]!r}, expected words, or pairs of numbers [start, stop] that count characters"
    )


def parse_words(content: str, name: str, *, as_json: bool) -> Lexicon:
    """Parse a list of words: one word a line; or, as JSON, an array of words or of pairs [start, stop].

    Raises:
        InputError: it has another form, or as ``Lexicon.of``.
    """
    if not as_json:
        return Lexicon.of([line for line in content.splitlines() if line.strip()], name)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{name} is not JSON ({error})", hint="A list of one word a line is not named .json."
        ) from None
    if not isinstance(found, list):
        raise InputError(f"{name} holds a {type(found).__name__}, expected an array of [start, stop]")
    return Lexicon.of(found, name)
