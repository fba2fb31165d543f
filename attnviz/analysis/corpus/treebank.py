"""A treebank: its sentences one by one, those that are read, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from attnviz.analysis.corpus.trees import Tree, Unaligned, read_tree
from attnviz.analysis.corpus.word_pairs import read_pair
from attnviz.errors import InputError, few


@dataclass(frozen=True)
class Given:
    """A sentence as it was read: ``where`` it stands, its ``lines``, or the ``reason`` why there are none.

    A row of a table has a text in place of lines, and the ``fields`` of a pair of its words.
    """

    where: str
    lines: str
    reason: str = ""
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Treebank:
    """The trees of a treebank, and what was not read.

    Attributes:
        trees: those that were read.
        broken: the places of sentences that could not be read, each with its reason.
        unaligned: the same of those whose words do not spell their text.
    """

    trees: tuple[Tree, ...]
    broken: tuple[str, ...]
    unaligned: tuple[str, ...]

    @property
    def sentences(self) -> int:
        """How many sentences there are."""
        return len(self.trees) + len(self.broken) + len(self.unaligned)


def read_trees(sentences: Iterable[Given]) -> Treebank:
    """Read the trees of ``sentences``; one that is broken does not touch the others.

    Raises:
        InputError: there is no tree at all.
    """
    trees: list[Tree] = []
    broken, unaligned = list[str](), list[str]()
    for each in sentences:
        try:
            if each.reason:
                raise InputError(each.reason)
            trees.append(read_tree(each.lines) if each.fields is None else read_pair(each.lines, each.fields))
        except InputError as error:
            broken.append(f"{each.where}: {error.message}")
        except Unaligned as error:
            unaligned.append(f"{each.where}: {error}")
    if not trees:
        why = few([*broken, *unaligned], 1) or "there are no sentences"
        raise InputError(
            f"there is no tree to ask ({why})",
            hint="Give a treebank in CoNLL-U: a line for each word, with its head and relation in columns 7 and 8. Or "
            "give a table (.csv, .tsv, .jsonl, .parquet) of pairs of words: columns text, from, to and relation.",
        )
    return Treebank(tuple(trees), tuple(broken), tuple(unaligned))


def paragraphs_of(text: str, name: str) -> Iterator[Given]:
    """The sentences of a treebank that is one text, which blank lines part."""
    held, first = list[str](), 0
    for number, line in enumerate([*text.replace("\r\n", "\n").split("\n"), ""], 1):
        if line.strip():
            first = first or number
            held.append(line)
        elif held:
            if not all(each.startswith("#") for each in held):
                yield Given(f"{name}:{first}", "\n".join(held))
            held, first = [], 0
