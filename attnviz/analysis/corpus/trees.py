"""Sentences of a treebank in CoNLL-U, and where the words of their trees stand in the text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from attnviz.errors import InputError, short

ROOT = 0
_COLUMNS = 10
_FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_READ = ("id", "head", "misc")
"""The columns that conllu takes apart; of the others nothing is read, which is three times as fast."""
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mention:
    """Words that mention an entity, by the ``head`` among them: the number of the word on which the others depend."""

    entity: str
    head: int


@dataclass(frozen=True, slots=True)
class Tree:
    """The dependency tree of a sentence, of n words.

    Attributes:
        text: the sentence.
        spans: the first and last (exclusive) character of each word; words of one multiword token may share one.
        heads: the number of each word's head from 0 on, −1 for a root.
        relations: what each word is to its head, such as ``nsubj``.
        mentions: of which entities it speaks, where the treebank says that.
        opens: whether a new document begins with it.
    """

    text: str
    spans: tuple[Span, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]
    mentions: tuple[Mention, ...] = ()
    opens: bool = False

    @property
    def known(self) -> set[str]:
        """The relations that its words have to other words."""
        return {name for name, head in zip(self.relations, self.heads, strict=True) if head >= 0}


class Unaligned(Exception):
    """The words of a tree do not spell its text."""


@dataclass(frozen=True, slots=True)
class Surface:
    """What stands in the text for one or several words of a tree.

    Attributes:
        form: its spelling.
        glued: whether no space follows.
        words: the words' own spellings; one, but of a multiword token such as *du*, which is *de* and *le*.
    """

    form: str
    glued: bool
    words: tuple[str, ...]


def surface(tokens: Iterable[Mapping[str, Any]]) -> Iterator[Surface]:
    """What stands in the text for the ``tokens`` of conllu: empty nodes (``1.1``) are left out.

    A multiword token (``1-2``) comes once, with the words that it stands for.
    """
    found = (token for token in tokens if not (isinstance(token["id"], tuple) and token["id"][1] == "."))
    for token in found:
        number, words = token["id"], (token["form"],)
        if isinstance(number, tuple):
            words = tuple(each["form"] for each in islice(found, number[2] - number[0] + 1))
        yield Surface(token["form"], (token.get("misc") or {}).get("SpaceAfter") == "No", words)


def spelled(surfaces: Iterable[Surface]) -> str:
    """The text that the tokens of a sentence make, with spaces where nothing says that there is none."""
    return "".join(each.form + ("" if each.glued else " ") for each in surfaces).rstrip(" ")


def read_tree(lines: str) -> Tree:
    """Read the tree of a sentence.

    Raises:
        InputError: the lines are no CoNLL-U, or have no tree.
        Unaligned: the words do not spell the sentence's ``# text``.
    """
    from conllu import parse_token_and_metadata
    from conllu.exceptions import ParseException
    from conllu.parser import DEFAULT_FIELD_PARSERS

    _require_columns(lines)
    parsers = {name: DEFAULT_FIELD_PARSERS[name] for name in _READ}
    try:
        sentence = parse_token_and_metadata(lines, _FIELDS, parsers)
    except (ParseException, ValueError) as error:
        raise InputError(f"broken sentence: {error}") from None
    surfaces = [*surface(sentence)]
    words = [token for token in sentence if isinstance(token["id"], int)]
    if not words or [token["id"] for token in words] != [*range(1, len(words) + 1)]:
        raise InputError(f"broken sentence: its words are not numbered from 1 to {max(1, len(words))}")
    lasts = [token["id"][2] for token in sentence if isinstance(token["id"], tuple) and token["id"][1] == "-"]
    if sum(len(each.words) for each in surfaces) != len(words) or max(lasts, default=0) > len(words):
        raise InputError("broken sentence: a multiword token has not the words that its number says")
    text = sentence.metadata.get("text") or spelled(surfaces)
    heads = tuple(_head(token, len(words)) for token in words)
    mentions = tuple(_mentions(sentence, heads)) if "Entity=" in lines else ()
    opens = any(name == "newdoc" or name.startswith("newdoc ") for name in sentence.metadata)
    relations = tuple(token["deprel"] for token in words)
    return Tree(text, tuple(_spans(text, surfaces)), heads, relations, mentions, opens)


_MARK = re.compile(r"(\()?([^-()\[\]]+)(\[\d+/\d+\])?(?:-[^()]*)?(\))?")
"""A mark of Entity: ``(e1-person-1`` begins a mention, ``e1)`` ends it; ``[1/2]`` is a part of one with a gap."""


def _mentions(tokens: Iterable[Mapping[str, Any]], heads: Sequence[int]) -> Iterator[Mention]:
    """The mentions of a sentence as CorefUD marks them, without those with gaps, or without words.

    Raises:
        InputError: a mention ends that has not begun, or does not end.
    """
    begun: dict[str, list[int]] = {}
    at = 0  # the number of the next word: an empty node has none
    for token in tokens:
        number, is_word = token["id"], isinstance(token["id"], int)
        for begins, entity, part, ends in _MARK.findall((token.get("misc") or {}).get("Entity") or ""):
            name = entity + part
            if begins:
                begun.setdefault(name, []).append(at)
            if ends and not begun.get(name):
                raise InputError(
                    f"broken sentence: a mention of {short(entity, 40)} ends at {number} and does not begin"
                )
            words = range(begun[name].pop(), at + is_word) if ends else range(0)
            if words and not part:
                yield Mention(entity, next((word for word in words if heads[word] not in words), words[0]))
        at += is_word
    if any(begun.values()):
        raise InputError("broken sentence: a mention does not end")


def _require_columns(lines: str) -> None:
    """Raise for lines that are no CoNLL-U, with what was expected."""
    for line in lines.split("\n"):
        count = line.count("\t") + 1
        if line and not line.startswith("#") and count != _COLUMNS:
            columns = "1 column" if count == 1 else f"{count} columns"
            raise InputError(f"no CoNLL-U: {short(line, 40)} has {columns}, expected {_COLUMNS} with tabs between them")


def _head(token: Mapping[str, Any], count: int) -> int:
    """The number of a word's head, −1 for a root."""
    head, name = token["head"], short(token["form"], 40)
    if head is None or token["deprel"] in (None, "_", ""):
        raise InputError(f"no tree: the word {name} has no head, or no relation to it")
    if not 0 <= head <= count or head == token["id"]:
        raise InputError(f"broken tree: the head of {name} is {head}, expected another word, 0 to {count}")
    return int(head) - 1


def _spans(text: str, surfaces: Sequence[Surface]) -> Iterator[Span]:
    """Where the words stand, whatever white space the text has between and within them.

    The words of a multiword token have places of their own where they spell it (*don't*: *do*, *n't*), else all have
    its place (*du*: *de*, *le*).

    Raises:
        Unaligned: they do not spell the text.
    """
    places = [i for i, character in enumerate(text) if not character.isspace()]
    letters, at = "".join(text[i] for i in places), 0
    for each in surfaces:
        form = _letters(each.form)
        if not form or not letters.startswith(form, at):
            raise Unaligned(f"{short(each.form, 40)} is not where # text should have it")
        parts = [_letters(word) for word in each.words]
        if "".join(parts) != form or not all(parts):
            parts = [form]
        begins = at
        for part in parts:
            span = places[begins], places[begins + len(part) - 1] + 1
            yield from [span] * (len(each.words) if len(parts) == 1 else 1)
            begins += len(part)
        at += len(form)
    if at < len(letters):
        raise Unaligned(f"# text goes on: {short(text[places[at] :], 40)}")


def _letters(form: str) -> str:
    return "".join(form.split())
