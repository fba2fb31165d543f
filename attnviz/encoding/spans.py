"""Where the words of an encoding stand in its text: characters, lines, pages, and the words around them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import regex

from attnviz.encoding.boundaries import LargeUnit, cuts_of
from attnviz.encoding.encoding import Encoding
from attnviz.encoding.words import CharacterSpan
from attnviz.errors import UsageError, find_alike

_LINE = re.compile(r"\r\n?|\n")
_AWAY = 1000
"""How many characters after the last word the next is looked for; what is further away is not the same word."""
_AROUND = 40
"""The most characters of text that are shown before a word, of it, and after it."""
_PIECE = 200
"""How many words a passage has where the text itself does not part them."""
_LARGEST = 1000
"""The most words of a passage: text of which one line or paragraph is longer is not parted by these."""


@dataclass(frozen=True)
class Place:
    """A word in its text: its line (from 1), its page where the text has form feeds, and what stands around it.

    ``before``, ``word`` and ``after`` are on one line and short; ``…`` is where more text was cut off.
    """

    line: int
    page: int | None
    before: str
    word: str
    after: str


class WordSpans:
    """Where each word of ``encoding`` stands: ``words`` has (text 0 or pair 1, first character, stop), or None."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.texts = (encoding.text,) if encoding.pair is None else (encoding.text, encoding.pair)
        self.words: list[CharacterSpan | None] = list(_walk(encoding, self.texts))

    @cached_property
    def _breaks(self) -> tuple[tuple[list[int], list[int]], ...]:
        """Of each text where its lines and its pages end."""
        return tuple(
            ([found.end() for found in _LINE.finditer(text)], [i.end() for i in re.finditer("\f", text)])
            for text in self.texts
        )

    def place(self, word: int) -> Place:
        """Where the word number ``word`` stands; one that is not in the text (a special token) with the word before."""
        label = _cut(self.encoding.words[word].text)
        place = self.words[word]
        if place is None:
            last = next((found for found in reversed(self.words[:word]) if found), (0, 0, 0))
            return Place(*self._line(last[0], last[1]), "", label, "")
        number, start, stop = place
        text = self.texts[number]
        return Place(*self._line(number, start), _before(text[:start]), label, _after(text[stop:]))

    def beginning(self, start: int, stop: int) -> tuple[int, str]:
        """The line on which the words ``start`` to ``stop`` (exclusive) begin, and the first of them, on one line."""
        found = [place for place in self.words[start:stop] if place]
        if not found:
            return self.place(start).line, _cut(self.encoding.words[start].text)
        number, first, _ = found[0]
        last = max(place[2] for place in found if place[0] == number)
        return self._line(number, first)[0], _after(self.texts[number][first:last])

    def _line(self, text: int, at: int) -> tuple[int, int | None]:
        lines, pages = self._breaks[text]
        return bisect_right(lines, at) + 1, bisect_right(pages, at) + 1 if pages else None

    def passages(self) -> list[tuple[int, int]]:
        """The text's passages, as spans of words that cut it without a gap.

        Paragraphs, which blank lines part; where there are fewer than two, lines; where there are fewer than two of
        these, or one is very long, pieces of some 200 words.
        """
        units: tuple[LargeUnit, ...] = ("paragraph", "line")
        for unit in units:
            found = self._parted(unit)
            if len(found) > 1:
                break
        if len(found) > 1 and max(stop - start for start, stop in found) <= _LARGEST:
            return found
        count = len(self.words)
        return [(start, min(start + _PIECE, count)) for start in range(0, count, _PIECE)]

    def _parted(self, unit: LargeUnit) -> list[tuple[int, int]]:
        """The spans of words that the units are; the second text begins one too."""
        cuts = [cuts_of(unit, text) for text in self.texts]
        firsts, last = [0], None
        for i, place in enumerate(self.words):
            # A line break that is a word by itself stands in what parts.
            if place is None or not self.encoding.words[i].text.strip():
                continue
            part = place[0], bisect_right(cuts[place[0]], place[1])
            if last is not None and part != last:
                firsts.append(i)
            last = part
        return list(zip(firsts, [*firsts[1:], len(self.words)], strict=True))

    def find(self, passage: str) -> list[tuple[int, int]]:
        """All places where the text has ``passage``, as spans of words; in any case, and with any white space.

        Raises:
            UsageError: the text does not have it; the message says what is near.
        """
        wanted = passage.split()
        if not wanted:
            raise UsageError("the passage is empty", hint="Give some words as the text writes them.")
        found = self._find(wanted)
        if not found:
            raise UsageError(f"the text has no passage {_cut(' '.join(wanted))!r}", hint=self._near(wanted))
        return found

    def _find(self, wanted: list[str]) -> list[tuple[int, int]]:
        """The spans of whole words that read ``wanted``."""
        pattern = regex.compile(r"\s+".join(map(regex.escape, wanted)), regex.IGNORECASE | regex.FULLCASE)
        starts = {place[:2]: i for i, place in enumerate(self.words) if place}
        stops = {(place[0], place[2]): i + 1 for i, place in enumerate(self.words) if place}
        spans = []
        for number, text in enumerate(self.texts):
            for match in pattern.finditer(text, overlapped=True):
                start, stop = starts.get((number, match.start())), stops.get((number, match.end()))
                if start is not None and stop is not None:
                    spans.append((start, stop))
        return spans

    def _near(self, wanted: list[str]) -> str:
        """What the text has of ``wanted``: its beginning or end, or words that look alike."""
        for count in range(len(wanted) - 1, 0, -1):
            for part in (wanted[:count], wanted[-count:]):
                found = self._find(part)
                if found:
                    place = self.place(found[0][0])
                    return f"Line {place.line} has: {place.word} {place.after}".rstrip()
        alike = find_alike(wanted[0], (word.text for word in self.encoding.words), 3, 0.7)
        if alike:
            return f"It has: {', '.join(alike)}"
        return "Give words as the text writes them, whole and in their order."


def _walk(encoding: Encoding, texts: tuple[str, ...]) -> Iterator[CharacterSpan | None]:
    """Find each word after the one before it."""
    number, at, begun = 0, 0, False
    for word in encoding.words:
        special = encoding.special[word.start]
        start = _next(texts[number], word.text, at, exactly=special)
        # A mark that is not the text's own, or its end, parts a text from its pair.
        if number + 1 < len(texts) and start < 0 and begun:
            if special:
                number, at, begun = number + 1, 0, False
            elif _next(texts[number + 1], word.text, 0, exactly=True) >= 0:
                number, at = number + 1, 0
                start = _next(texts[number], word.text, 0, exactly=True)
        if start < 0:
            yield None
            continue
        at, begun = start + len(word.text), True
        yield number, start, at


def _next(text: str, word: str, at: int, *, exactly: bool) -> int:
    """Where ``word`` stands in ``text`` from ``at`` on, −1 for nowhere; ``exactly``: only white space is before it."""
    if word.isspace():
        return text.find(word, at, at + _AWAY)
    start = at
    while start < len(text) and text[start].isspace():
        start += 1
    if text.startswith(word, start):
        return start
    return -1 if exactly else text.find(word, start, start + _AWAY + len(word))


def _cut(text: str) -> str:
    line = " ".join(text.split()) or text
    return line if len(line) <= _AROUND else f"{line[: _AROUND - 1]}…"


def _before(text: str) -> str:
    """The last words of ``text``, on one line."""
    part = text[-4 * _AROUND :]
    line = " ".join(part.split())
    if len(line) <= _AROUND and len(part) == len(text):
        return line
    line = line[-_AROUND:]
    _, space, rest = line.partition(" ")
    return f"… {rest}" if space else f"…{line}" if line else ""


def _after(text: str) -> str:
    """The first words of ``text``, on one line."""
    part = text[: 4 * _AROUND]
    line = " ".join(part.split())
    if len(line) <= _AROUND and len(part) == len(text):
        return line
    line = line[:_AROUND]
    rest, space, _ = line.rpartition(" ")
    return f"{rest} …" if space else f"{line}…" if line else ""
