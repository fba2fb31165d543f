"""Find where the sentences, lines and paragraphs of a text begin.

A paragraph ends at a blank line or the end of a page, a line at a line break. A sentence ends

- after ``.``, ``!``, ``?``, ``…`` or what ends sentences in other scripts (Unicode's Sentence_Break STerm and ATerm),
  with closing quotes and brackets after it, before white space; not if a lower-case letter follows (as
  Unicode Standard Annex 29 has it), and not after an initial (``J. Smith``), a common title or abbreviation (``Dr.``),
  or a number that begins a line (``1. Open the lid``);
- after ``。``, ``！``, ``？`` and ``｡``, whatever follows;
- at a blank line; at a line break, unless the line ends in a letter or a comma and the next one begins in lower case.
"""

from __future__ import annotations

import re
from typing import Literal

import regex

LargeUnit = Literal["sentence", "line", "paragraph"]

_PARAGRAPH = re.compile(r"(?:\r\n?+|\n)[^\S\r\n]*(?:\r\n?+|\n)\s*|\f\s*")
_LINE = re.compile(r"[\r\n\f]\s*")
_STOP = regex.compile(
    r"""(?V1)
    [。！？｡]++ [\p{Pe}\p{Pf}"']* \s*
    | (?<end> [\p{Sentence_Break=ATerm}\p{Sentence_Break=STerm}…]++ ) [\p{Pe}\p{Pf}"'*_]*
      \s++ (?! [\p{Ps}\p{Pi}"'*_]* \p{Ll} )
    """,
    regex.VERBOSE,
)
_GOES_ON = regex.compile(r"(?V1)(?<=[\p{L}\p{M},;])[^\S\r\n]*(?:\r\n?|\n)\p{Ll}")
_ABBREVIATION = regex.compile(
    r"""(?V1)(?:^|(?<=[\s\p{Ps}\p{Pi}"']))(?:
    \p{L} | \p{L}(?:\.\p{L})+ | (?i:mrs?|ms|mx|drs?|prof|rev|hon|gen|col|capt|lt|sgt|sen|rep|gov|messrs|mme|mlle|st|mt
    |vs|cf|viz|fig|eq|sec|ch|vol|pp|ed|eds|approx|dept|hr|fr|bzw|usw|ca|vgl|abb|nr|bd|sra?|srta|dott|sig)
    )$ | (?:^|[\r\n])[^\S\r\n]*[0-9]{1,3}$""",
    regex.VERBOSE,
)
_WORD = 16
"""The number of characters before a full stop in which an abbreviation is recognised."""


def cuts_of(unit: LargeUnit, text: str) -> list[int]:
    """Return the characters at which units of ``text`` begin, in order, without the first unit's 0."""
    paragraphs = [found.end() for found in _PARAGRAPH.finditer(text)]
    if unit == "paragraph":
        return paragraphs
    lines = [found.end() for found in _LINE.finditer(text)]
    if unit == "line":
        return lines
    going_on = {found.end() - 1 for found in _GOES_ON.finditer(text)}
    stops = {found.end() for found in _STOP.finditer(text) if not found["end"] or not _abbreviates(text, found)}
    return sorted({*paragraphs, *(line for line in lines if line not in going_on), *stops} - {len(text)})


def _abbreviates(text: str, found: regex.Match[str]) -> bool:
    """Whether the full stop that was ``found`` belongs to an abbreviation, an initial, or the number of an item."""
    start = found.start()
    return found["end"] == "." and _ABBREVIATION.search(text[max(0, start - _WORD) : start]) is not None
