"""Sentences of a corpus that its links stand in, to be quoted in a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import regex

from attnviz.analysis.corpus.typical_links import Occurrence

MOST_CHARACTERS = 160
"""The most characters of a quotation."""
_SENTENCE = regex.compile(r"[^.!?。！？\n]+(?:[.!?。！？]+(?!\s)[^.!?。！？\n]+)*[.!?。！？]*[\"'”’)\]]*")
"""A sentence ends at a mark that white space follows, or at the end of a line."""
_MARK = "…"


@dataclass(frozen=True)
class Quotation:
    """A sentence of a document.

    Attributes:
        text: the sentence, cut to what is around the words of its link.
        where: the position of the document, as an editor shows it: ``notes.txt:12``.
    """

    text: str
    where: str


Quotations = Mapping[Occurrence, Quotation]


def links_of(typical: Iterable[Occurrence], longest: Iterable[Occurrence]) -> dict[int, list[Occurrence]]:
    """The links to quote, by the numbers of their documents."""
    found: dict[int, list[Occurrence]] = {}
    for link in (*typical, *longest):
        found.setdefault(link.document, []).append(link)
    return found


def quote(text: str, link: Occurrence) -> str:
    """Return the sentence of ``text`` in which both words of the ``link`` stand, or the first with one of them.

    A long sentence is cut to what is around the words. The result is empty if the text has neither word.
    """
    folded = [(sentence.group(), sentence.group().casefold()) for sentence in _SENTENCE.finditer(text)]
    words = [word.casefold() for word in (link.query, link.key)]
    for some in (words, words[:1], words[1:]):
        for sentence, lower in folded:
            places = [_place(lower, word) for word in some]
            if all(place >= 0 for place in places):
                return _cut(sentence.strip(), min(places), max(p + len(w) for p, w in zip(places, some, strict=True)))
    return ""


def _place(sentence: str, word: str) -> int:
    """Return where ``word`` stands in the ``sentence`` by itself; −1 if it does not."""
    found = regex.search(rf"(?<!\w){regex.escape(word)}(?!\w)", sentence) or regex.search(regex.escape(word), sentence)
    return found.start() if found else -1


def _cut(sentence: str, start: int, stop: int) -> str:
    """Return ``sentence`` cut to ``MOST_CHARACTERS`` around its part from ``start`` to ``stop``."""
    if len(sentence) <= MOST_CHARACTERS:
        return sentence
    spare = max(0, MOST_CHARACTERS - (stop - start))
    low = max(0, min(start - spare // 2, len(sentence) - MOST_CHARACTERS))
    high = min(len(sentence), low + MOST_CHARACTERS)
    return (_MARK if low else "") + sentence[low:high].strip() + (_MARK if high < len(sentence) else "")
