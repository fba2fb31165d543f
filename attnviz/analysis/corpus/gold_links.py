"""Gold word alignments, as people made them: sure links, and possible ones (Och and Ney 2003)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from attnviz.analysis.text.word_alignment import Link
from attnviz.errors import InputError, count_of, short

_LINK = re.compile(r"([0-9]{1,6})([-?p])([0-9]{1,6})")
_NUMBERED = re.compile(r"\s*([0-9]{1,9})\s+([0-9]{1,6})\s+([0-9]{1,6})(?:\s+([SP]))?(?:\s+[0-9.]+)?\s*")
_HINT = "Links are 0-0 where they are sure, 0?0 or 0p0 where they are possible, source before target."


@dataclass(frozen=True)
class Gold:
    """The links of one pair, as numbers of source and target words from 0; ``possible`` has the ``sure`` ones too.

    ``line`` is the number of its line, or of its sentence.
    """

    sure: frozenset[Link] = frozenset()
    possible: frozenset[Link] = frozenset()
    line: int = 0


def parse_gold(content: str, name: str, count: int, *, first: int = 0) -> list[Gold]:
    """The gold links of each of ``count`` pairs.

    A line has the links of one pair: ``0-0 1-2`` sure, ``1?2`` or ``1p2`` possible ones. Or a line has one link, as in
    the shared tasks of 2003 and 2005 (Mihalcea and Pedersen 2003): the number of the sentence, of the source word and
    of the target word, each from 1, and S or P; words with the number 0 are linked to nothing.

    Args:
        content: the file.
        name: what it is called.
        count: how many pairs there are.
        first: the number of the first word in a line of links.

    Raises:
        InputError: a line is none of these; it has fewer or more lines than there are pairs; it has no link at all.
    """
    found = _parse(content, name, count, first)
    if not any(each.possible for each in found):
        raise InputError(f"{name} has no links", hint=_HINT)
    return found


def _parse(content: str, name: str, count: int, first: int) -> list[Gold]:
    lines = content.replace("\r\n", "\n").removesuffix("\n").split("\n")
    begin = next((line for line in lines if line.strip()), "")
    if _NUMBERED.fullmatch(begin):
        return _numbered(lines, name, count)
    if len(lines) != count:
        raise InputError(
            f"{name} has {count_of(len(lines), 'line')} and there are {count:,} pairs",
            hint="A line has the links of one pair.",
        )
    return [_gold(list(_links(line, f"{name}:{number}", first)), number) for number, line in enumerate(lines, 1)]


def _gold(links: list[tuple[Link, bool]], line: int) -> Gold:
    sure = frozenset(link for link, is_sure in links if is_sure)
    return Gold(sure, sure | {link for link, _ in links}, line)


def _links(line: str, where: str, first: int) -> Iterator[tuple[Link, bool]]:
    """The links of a line, and whether each is sure."""
    for part in line.split():
        found = _LINK.fullmatch(part)
        if not found:
            raise InputError(f"{where}: {short(part)} is no link", hint=_HINT)
        source, target = int(found[1]) - first, int(found[3]) - first
        if min(source, target) < 0:
            raise InputError(
                f"{where}: {part} has a word 0, and words are counted from 1", hint="Leave out --one-based."
            )
        yield (source, target), found[2] == "-"


def _numbered(lines: list[str], name: str, count: int) -> list[Gold]:
    """The links of a file with one link in each line."""
    pairs: list[list[tuple[Link, bool]]] = [[] for _ in range(count)]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _NUMBERED.fullmatch(line)
        if not found:
            hint = "Expected a sentence, a source word and a target word, from 1, and S or P: 1 3 4 S"
            raise InputError(f"{name}:{number}: {short(line)} is no link", hint=hint)
        sentence, source, target = int(found[1]), int(found[2]), int(found[3])
        if not 1 <= sentence <= count:
            raise InputError(f"{name}:{number}: there is no pair {sentence:,}: there are {count:,}, counted from 1")
        if source and target:
            pairs[sentence - 1].append(((source - 1, target - 1), found[4] != "P"))
    return [_gold(links, number) for number, links in enumerate(pairs, 1)]
