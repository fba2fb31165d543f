"""The questions about texts of any length, which a model is asked: no record of all weights is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz import record
from attnviz.analysis.languages import language_code
from attnviz.errors import InputError, UsageError
from attnviz.interface.observing import Observing
from attnviz.interface.record_answers import pairs_of

if TYPE_CHECKING:
    from attnviz.analysis.text.word_alignment import AlignedUnit, Step
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
        of: str | int | None = None,
        against: str | int | None = None,
        **options: Any,
    ) -> Table:
        """Rank all heads by how much, and how unusually, some words of a text look at others, as ``attnviz find`` does.

        Nothing that grows with the square of the text is kept.

        Args:
            text: the text.
            from_, to, rank, both, unit, special, language: as for ``Attention.find``.
            weights: what stands in the place of the attention weights, such as ``norm``.
            of, against: as for ``attend``.
            options: ``pair``, ``target``, ``windows`` and the other options of ``inspect``.

        Raises:
            UsageError, InputError, ModelError: as ``inspect``; neither side is given; the text has no such words.
        """
        from attnviz.analysis.text.find import find_links
        from attnviz.interface.tables import Table

        asked = record.Request(
            unit=unit, special=special, language=language_code(language), weights=weights, of=of,
            against=against, evidence=False,
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
        of: str | int | None = None,
        against: str | int | None = None,
        **options: Any,
    ) -> Table:
        """Rank all heads by how much the same words look elsewhere in another text, as ``attnviz compare`` does.

        Args:
            text, other: the two texts.
            word, unit, special, language: as for ``Attention.compare``.
            weights: what stands in the place of the attention weights, such as ``norm``.
            of, against: as for ``attend``.
            options: ``windows`` and the other options of ``inspect``, for both.

        Raises:
            UsageError, InputError, ModelError: as ``inspect``; no words of the two correspond.
        """
        from attnviz.analysis.text.compare import compare, observe_two
        from attnviz.interface.tables import Table

        asked = record.Request(
            unit=unit,
            special=special,
            language=language_code(language),
            weights=weights,
            of=of,
            against=against,
            evidence=False,
        )

        def observe(read: str, spread: record.Spread) -> record.Observation:
            return self.inspect(read, request=replace(asked, pairs=spread), **options)

        first, second = observe_two(partial(observe, text), partial(observe, other), word)
        return Table.of(compare(first, second, word))

    def align(
        self,
        source: str | Sequence[tuple[str, str]],
        target: str | None = None,
        *,
        layer: int | Sequence[int] | None = None,
        head: int | Sequence[int] | None = None,
        step: Step | None = None,
        unit: AlignedUnit | None = None,
        weights: record.WeightsName | None = None,
        gold: str | os.PathLike[str] | None = None,
        first: int = 0,
        **options: Any,
    ) -> Table:
        """The source word that each target word stands for, as ``attnviz align`` finds it: of one pair or of many.

        Args:
            source: the source, or pairs of a source and its target.
            target: the target of one source; None lets the model write it.
            layer: the layers whose heads are averaged; the one that ``usual_layer`` says by default.
            head: the heads of these; all by default.
            step: whose row a target word has: the step that ``reads`` it, which is taken unasked, or that ``predicts``
                it; both are compared with ``gold`` links unless one is given.
            unit: what is aligned: ``word``, ``token``, or what white space separates: ``space``; that is taken unasked
                of several pairs and with ``gold``.
            weights: what stands in the place of the attention weights, such as ``norm``.
            gold: a file of gold links in the format Pharaoh, a line for each pair: the answer is then the errors of all
                heads.
            first: the number of a text's first word in that file, 0 or 1.
            options: the other options of ``inspect``.

        Raises:
            UsageError, InputError, ModelError: as ``inspect``; the model has no cross-attention; a layer, head, step or
                unit that there is not; the gold links are not of the pairs.
        """
        from attnviz.analysis.corpus.alignment_errors import AlignmentErrors
        from attnviz.analysis.corpus.gold_links import parse_gold
        from attnviz.analysis.text.word_alignment import REQUEST, STEPS, align, alignment_table, cross_weights
        from attnviz.interface.tables import Table

        pairs = [(source, target)] if isinstance(source, str) else [*source]
        if not isinstance(source, str) and target is not None:
            raise UsageError("`target` is of one source, and pairs are given", hint="Leave it out.")
        counted = unit or ("word" if gold is None and isinstance(source, str) else "space")
        steps: tuple[Step, ...] = (step,) if step else STEPS if gold is not None else STEPS[:1]
        heads = record.Heads.of(layer, head)
        links = None
        if gold is not None:
            links = parse_gold(Path(gold).read_text("utf-8"), str(gold), len(pairs), first=first)
        errors, found = AlignmentErrors(heads, steps), []
        for number, (ours, theirs) in enumerate(pairs):
            seen = self.inspect(ours, target=theirs, request=replace(REQUEST, weights=weights), **options)
            crosses = {each: cross_weights(seen, step=each, unit=counted) for each in steps}
            if links is None:
                found.append(align(crosses[steps[0]], heads, steps[0]))
            else:
                errors.add(crosses, links[number], str(gold))
        if links is not None:
            return Table.of(errors.table(model=self.name, unit=counted, gold=str(gold)))
        if not found:
            raise InputError("there are no pairs to align")
        numbers = None if isinstance(source, str) else [*range(1, len(found) + 1)]
        return Table.of(alignment_table(found, step=steps[0], unit=counted, model=self.name, numbers=numbers))
