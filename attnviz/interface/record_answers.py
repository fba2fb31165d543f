"""The questions about a text that its record of all weights answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnviz import record
from attnviz.analysis.languages import language_code
from attnviz.analysis.text.links import Link
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.interface.tables import Table


def pairs_of(from_: str | Sequence[str], to: str | Sequence[str]) -> record.Pairs:
    """The links that are looked for.

    Raises:
        UsageError: neither side is given.
    """
    sides = [(each,) if isinstance(each, str) else tuple(each) for each in (from_, to)]
    if not any(sides):
        raise UsageError("no words are given to look for", hint='Give some: find("bank", "loan")')
    return record.Pairs(*sides)


class RecordAnswers:
    """A record that answers where words look, and how it differs from another."""

    def links(
        self: Any,
        word: str | None = None,
        *,
        top: int = 10,
        special: bool = False,
        language: str = "English",
        unit: record.Unit = "word",
        per_token: bool = False,
        passage: str | None = None,
    ) -> list[Link]:
        """The strongest links between words, from ``word`` only if given (``"the:2"``: its second occurrence).

        Each pair of words comes once, in the head where it is strongest. Special tokens, punctuation, function words
        of ``language`` and positional heads are left out, and in long texts the links at a head's usual offset; with
        ``special`` the first two come in.

        Args:
            word: the word that looks.
            top: how many links.
            special: count special tokens, punctuation and sinks too.
            language: whose function words do not count.
            unit: what is linked: ``token``, ``word``, ``sentence``, ``line`` or ``paragraph``.
            per_token: divide weights by how many tokens of the key's unit the query sees.
            passage: some words of the text, which alone look; or ``generated``, for what the model wrote.

        Raises:
            UsageError: the text has no such word or passage; a unit or a language that there is not.
        """
        from attnviz.analysis.text.replaying import replay
        from attnviz.analysis.text.summary import links_from

        words = () if word is None else (word,)
        asked = record.Request(
            unit=unit,
            special=special,
            words=words,
            passage=passage,
            per_token=per_token,
            links=top,
            language=language_code(language),
        )
        return links_from(replay(self, asked))

    def find(
        self: Any,
        from_: str | Sequence[str] = (),
        to: str | Sequence[str] = (),
        *,
        rank: str = "lift",
        both: bool = True,
        unit: record.Unit = "word",
        special: bool = False,
        language: str = "English",
    ) -> Table:
        """Rank all heads by how much, and how unusually, some words look at others, as ``attnviz find`` does.

        Args:
            from_: what looks: a word (``"bank:2"``: its second occurrence), several words, or ``"/a pattern/"``.
            to: what is looked at; where one side is not given, all units that count are taken.
            rank: the column by which the rows are in order: ``lift``, ``weight``, ….
            both: list the links in the other direction as well.
            unit: what is linked.
            special: special tokens, punctuation and sinks count where a side is not given.
            language: whose function words do not count there.

        Raises:
            UsageError: neither side is given; the text has no such words.
        """
        from attnviz.analysis.text.find import find_links
        from attnviz.analysis.text.replaying import replay
        from attnviz.interface.tables import Table

        asked = record.Request(unit=unit, special=special, language=language_code(language), pairs=pairs_of(from_, to))
        return Table.of(find_links(replay(self, asked), rank=rank, both=both))

    def compare(
        self: Any,
        other: record.AttentionRecord,
        word: str | None = None,
        *,
        unit: record.Unit = "word",
        special: bool = False,
        language: str = "English",
    ) -> Table:
        """Rank all heads by how much the same words look elsewhere in another record, as ``attnviz compare`` does.

        Args:
            other: another text in the same model, or the same text in another model.
            word: the only word whose rows are compared (``"bank:2"``).
            unit: what rows and columns are.
            special: compare the rows of special tokens and punctuation, too.
            language: whose function words are left out.

        Raises:
            UsageError: no words of the two correspond, or they are not of one kind.
        """
        from attnviz.analysis.text.compare import compare, observe_two
        from attnviz.analysis.text.replaying import replay
        from attnviz.interface.tables import Table

        asked = record.Request(unit=unit, special=special, language=language_code(language))
        first, second = observe_two(
            lambda spread: replay(self, replace(asked, pairs=spread)),
            lambda spread: replay(other, replace(asked, pairs=spread)),
            word,
        )
        return Table.of(compare(first, second, word))
