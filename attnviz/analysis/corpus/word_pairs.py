"""Pairs of words in texts of a table: what one is to the other, in place of a tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import regex

from attnviz.analysis.corpus.trees import Span, Tree
from attnviz.errors import InputError, did_you_mean, few, short

FIELDS = ("from", "to", "relation")
"""The columns beside the text: a word, another one, and what the first is to it."""
_NAMED = "pair"
"""What a pair is called whose relation has no name."""
_NUMBER = regex.compile(r"(.+):(\d+)")


def read_pair(text: str, fields: Mapping[str, Any]) -> Tree:
    """The tree of two words: the word ``from`` depends on the word ``to``.

    Raises:
        InputError: the text has no such word, or has it several times, or both are one.
    """
    names = [str(fields.get(name) or "").strip() for name in FIELDS]
    if not all(names[:2]):
        raise InputError(f"a pair needs the columns text, from and to, and has {few([*fields], 12) or 'no others'}")
    first, second = (_place(text, name) for name in names[:2])
    if first[0] < second[1] and second[0] < first[1]:
        raise InputError(f"{short(names[0], 40)} and {short(names[1], 40)} are not two words")
    return Tree(text, (first, second), (1, -1), (names[2] or _NAMED, "root"))


def _place(text: str, name: str) -> Span:
    """The characters of a word or several, of which ``bank:2`` is the second *bank*."""
    found = _found(text, name)
    number = _NUMBER.fullmatch(name)
    if not found and number:
        found = _found(text, number[1])
        if not 0 < int(number[2]) <= len(found):
            raise InputError(f"the text has no {short(name, 40)}: {short(number[1], 40)} occurs {len(found)} times")
        return found[int(number[2]) - 1]
    if not found:
        near = did_you_mean(name, regex.findall(r"\w+", text)).strip()
        raise InputError(f"the text has no word {short(name, 40)}{f' ({near})' if near else ''}")
    if len(found) > 1:
        raise InputError(f"{short(name, 40)} occurs {len(found)} times: say which, such as {name}:2")
    return found[0]


def _found(text: str, words: str) -> list[Span]:
    """All places where the text has these words, whole, in any case."""
    pattern = r"(?<!\w)" + r"\s+".join(map(regex.escape, words.split())) + r"(?!\w)"
    return [match.span() for match in regex.finditer(pattern, text, regex.IGNORECASE)]
