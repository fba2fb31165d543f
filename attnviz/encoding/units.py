"""Units larger than words: the sentences, lines and paragraphs of an encoding, as consecutive spans of its tokens."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from attnviz.encoding.boundaries import LargeUnit, cuts_of
from attnviz.encoding.encoding import Encoding
from attnviz.encoding.spans import WordSpans
from attnviz.encoding.words import CharacterSpan, is_blank

_ROLES = frozenset(("system", "developer", "user", "human", "assistant", "model", "tool", "function", "ipython"))
"""The roles that chat templates write after a special token, on a line of their own."""


@dataclass(frozen=True)
class Spans:
    """Consecutive units that cover all tokens of a text; all tuples have one entry per unit.

    Args:
        starts: the first tokens.
        labels: the first words, on one line.
        lines: the lines, from 1, on which the units begin.
        special: whether a unit is not part of the text: adjacent special tokens are one such unit, with the name of a
            role that a chat template writes there.
        sink: whether unit 0 is the first token alone, on which causal models rest.
    """

    starts: tuple[int, ...]
    labels: tuple[str, ...]
    lines: tuple[int, ...]
    special: tuple[bool, ...]
    sink: bool = False

    def __len__(self) -> int:
        return len(self.starts)


def large_units(unit: LargeUnit, encoding: Encoding, *, causal: bool) -> Spans:
    """Split ``encoding`` into sentences, lines or paragraphs.

    The second text of a pair, the text after a special token, and generated tokens each begin a unit. In a ``causal``
    model the first token of the text is a unit of its own, so that its weight counts for no passage.
    """
    places = WordSpans(encoding)
    marks = _special(encoding, places)
    sink = causal and not marks[0]
    starts, special = zip(*_units(unit, encoding, places, marks, sink=sink), strict=True)
    firsts = [word.start for word in encoding.words]
    lines, labels = [], []
    for start, stop, mark in zip(starts, (*starts[1:], len(encoding)), special, strict=True):
        first = 0 if sink and start == 1 else bisect_right(firsts, start) - 1
        line, label = places.beginning(first, bisect_right(firsts, stop - 1))
        written = "".join(encoding.tokens[start:stop]) if mark or (sink and not start) else label
        lines.append(line)
        labels.append(" ".join(written.split()) or label)
    return Spans(starts, tuple(labels), tuple(lines), special, sink)


def _units(
    unit: LargeUnit, encoding: Encoding, places: WordSpans, special: list[bool], *, sink: bool
) -> Iterator[tuple[int, bool]]:
    """Yield the first token of each unit, and whether the unit is not part of the text."""
    cuts = [cuts_of(unit, text) for text in places.texts]
    written = len(encoding) - encoding.generated
    part, before = (0, 0), None
    for word, place, mark in zip(encoding.words, places.words, special, strict=True):
        if place is not None and word.text.strip():  # a word that is only a line break belongs to the boundary
            part = place[0], bisect_right(cuts[place[0]], place[1])
        inside = {at for at in (written, int(sink)) if word.start < at < word.stop}
        for start in sorted({word.start, *inside}):
            now = mark, None if mark else part, start >= written, sink and start == 0
            if now != before:
                yield start, mark
            before = now


def _special(encoding: Encoding, places: WordSpans) -> list[bool]:
    """Return whether each word is not part of the text: special tokens, and after them white space and the name of a
    role.
    """
    words, marks = encoding.words, [encoding.special[word.start] for word in encoding.words]
    found = list(marks)
    for i in range(1, len(words)):
        if found[i - 1] and not marks[i]:
            role = marks[i - 1] and words[i].text in _ROLES and _is_line(marks[i + 1 : i + 2], places, places.words[i])
            found[i] = role or is_blank(words[i].text)
    return found


def _is_line(after: list[bool], places: WordSpans, place: CharacterSpan | None) -> bool:
    """Whether only a special token follows a word on its line."""
    if place is None or not after or after[0]:
        return True
    number, _, stop = place
    rest = places.texts[number][stop : stop + 8].lstrip(" ")
    return rest[:1] in ("\r", "\n")
