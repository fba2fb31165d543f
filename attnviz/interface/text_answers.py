"""The questions about texts of any length, which a model is asked: no record of all weights is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from attnviz import record
from attnviz.analysis.languages import language_code
from attnviz.interface.observing import Observing
from attnviz.interface.record_answers import pairs_of

if TYPE_CHECKING:
    from attnviz.interface.tables import Table


class TextAnswering(Observing):
    """A model that answers where words look in a text, and in which heads two texts differ."""

    def find(
        self,
        text: str,
        from_: str | Sequence[str] = (),
        to: str | Sequence[str] = (),
        *,
        rank: str = "lift",
        both: bool = True,
        unit: record.Unit = "word",
        special: bool = False,
        language: str = "English",
        weights: record.WeightsName | None = None,
        **options: Any,
    ) -> Table:
        """Rank all heads by how much, and how unusually, some words of a text look at others, as ``attnviz find`` does.

        Nothing that grows with the square of the text is kept.

        Args:
            text: the text.
            from_, to, rank, both, unit, special, language: as for ``Attention.find``.
            weights: what stands in the place of the attention weights, such as ``norm``.
            options: ``pair``, ``target``, ``windows`` and the other options of ``inspect``.

        Raises:
            UsageError, InputError, ModelError: as ``inspect``; neither side is given; the text has no such words.
        """
        from attnviz.analysis.text.find import find_links
        from attnviz.interface.tables import Table

        asked = record.Request(
            unit=unit, special=special, language=language_code(language), weights=weights, evidence=False,
            pairs=pairs_of(from_, to),
        )  # fmt: skip
        return Table.of(find_links(self.inspect(text, request=asked, **options), rank=rank, both=both))

    def compare(
        self,
        text: str,
        other: str,
        word: str | None = None,
        *,
        unit: record.Unit = "word",
        special: bool = False,
        language: str = "English",
        weights: record.WeightsName | None = None,
        **options: Any,
    ) -> Table:
        """Rank all heads by how much the same words look elsewhere in another text, as ``attnviz compare`` does.

        Args:
            text, other: the two texts.
            word, unit, special, language: as for ``Attention.compare``.
            weights: what stands in the place of the attention weights, such as ``norm``.
            options: ``windows`` and the other options of ``inspect``, for both.

        Raises:
            UsageError, InputError, ModelError: as ``inspect``; no words of the two correspond.
        """
        from attnviz.analysis.text.compare import compare, observe_two
        from attnviz.interface.tables import Table

        asked = record.Request(
            unit=unit, special=special, language=language_code(language), weights=weights, evidence=False
        )

        def observe(read: str, spread: record.Spread) -> record.Observation:
            return self.inspect(read, request=replace(asked, pairs=spread), **options)

        first, second = observe_two(partial(observe, text), partial(observe, other), word)
        return Table.of(compare(first, second, word))
