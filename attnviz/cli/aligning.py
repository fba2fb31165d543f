"""How ``attnviz align`` reads pairs, aligns them, and gives its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attnviz.cli import console, streams
from attnviz.cli.answers import PICTURES, AnswerOptions, give_answer
from attnviz.cli.documents import require_installed, standard_input
from attnviz.cli.options import ModelOptions
from attnviz.cli.reading import read_file
from attnviz.cli.source import explain
from attnviz.errors import InputError, SomeFailed, UsageError, count_of, few

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.analysis.corpus.gold_links import Gold
    from attnviz.analysis.table import Table
    from attnviz.analysis.text.word_alignment import AlignedUnit, Alignment, CrossWeights, Step
    from attnviz.batch.document import Document
    from attnviz.interface import Model
    from attnviz.record import Heads, Observation, Request
    from attnviz.render.figure import Style

_GoldFile = tuple[Path, int]
"""A file of gold alignments, and the number of the first word."""
_Aligned = tuple[int, "Mapping[Step, CrossWeights]"]
"""A pair that could be read: its number, from 1, and its weights at each step."""


@dataclass(frozen=True)
class Aligning:
    """What is asked of pairs: of which heads, at which steps, in which unit; and how the answer is given.

    Several steps are compared with gold links.
    """

    heads: Heads
    steps: tuple[Step, ...]
    unit: AlignedUnit
    form: Literal["table", "pharaoh"]
    request: Request
    answer: AnswerOptions

    def one(self, found: Observation, gold: _GoldFile | None) -> None:
        """Align one pair that was observed.

        Raises:
            UsageError, InputError: it can't be aligned; the gold links are not of it.
        """
        self._give([(1, self._weights(found))], 1, found.model, gold, numbered=False)

    def files(self, inputs: list[str], names: tuple[str, str], gold: _GoldFile | None, options: ModelOptions) -> None:
        """Align the pairs in files, whose fields have two ``names``.

        Raises:
            UsageError, InputError, ModelError: a file, the model or the gold links can't be read.
            SomeFailed: some pairs could not be aligned.
        """
        require_installed("align --pairs")
        from attnviz.batch.input.options import ReadOptions
        from attnviz.batch.input.pairs import read_pairs

        pairs = list(read_pairs(inputs, ReadOptions(field=names[0], target=names[1]), stdin=standard_input(inputs)))
        self._require_few(pairs, gold)
        if gold:
            self._read_gold(gold, len(pairs))
        model = options.load()
        failed: list[str] = []
        self._give(self._run(pairs, model, failed), len(pairs), model.name, gold, numbered=True)
        explain(model)
        if failed:
            every = len(failed) == len(pairs)
            raise SomeFailed(
                f"{len(failed):,} of {count_of(len(pairs), 'pair')} could not be aligned: {few(failed)}",
                hint="" if every else "They have no rows, and an empty line in the format pharaoh.",
            )

    def _require_few(self, pairs: Sequence[Document], gold: _GoldFile | None) -> None:
        """Raise where there is nothing to align, or more than a picture shows."""
        if not pairs:
            raise InputError("there are no pairs in the files")
        place = self.answer.place()
        if place is not None and place.suffix in PICTURES and len(pairs) > 1 and not gold:
            raise UsageError(
                f"a picture is of one pair, and there are {len(pairs):,}",
                hint="Write a table, such as .csv; or give one pair: attnviz align SOURCE --target TARGET",
            )

    def _run(self, pairs: Sequence[Document], model: Model, failed: list[str]) -> Iterator[_Aligned]:
        """Run each pair; ``failed`` gets the reasons of those that can't be."""
        from attnviz.cli.corpus_progress import corpus_progress

        # A bar would stand between lines that are printed as they come.
        quiet = self.form == "pharaoh" and console.output().is_terminal
        with corpus_progress(None if quiet else console.errors(), None) as progress:
            progress.found(len(pairs))
            for number, pair in enumerate(pairs, 1):
                try:
                    if pair.reason:
                        raise InputError(pair.reason)
                    found = model.inspect(pair.text, target=pair.target, request=self.request)
                except InputError as error:
                    failed.append(f"{pair.where}: {error.message}")
                    progress.worked(1, 0)
                    continue
                progress.worked(1, len(found.encoding))
                yield number, self._weights(found)

    def _weights(self, found: Observation) -> Mapping[Step, CrossWeights]:
        from attnviz.analysis.text.word_alignment import cross_weights

        return {step: cross_weights(found, step=step, unit=self.unit) for step in self.steps}

    def _read_gold(self, gold: _GoldFile, count: int) -> list[Gold]:
        from attnviz.analysis.corpus.gold_links import parse_gold

        return parse_gold(read_file(gold[0]), str(gold[0]), count, first=gold[1])

    def _give(
        self, aligned: Iterable[_Aligned], count: int, model: str, gold: _GoldFile | None, *, numbered: bool
    ) -> None:
        """Print the answer, or write it to its file: the errors of pairs that have gold links, else the links."""
        from attnviz.analysis.text.word_alignment import align, alignment_table

        if gold:
            give_answer(self._compared(aligned, self._read_gold(gold, count), model, str(gold[0])), self.answer)
            return
        step = self.steps[0]
        found = ((number, align(crosses[step], self.heads, step)) for number, crosses in aligned)
        if self.form == "pharaoh":
            self._print_lines(found, count)
            return
        kept = list(found)
        if not kept:
            return  # every pair failed, which is said then
        table = alignment_table(
            [each for _, each in kept], step=step, unit=self.unit, model=model,
            numbers=[number for number, _ in kept] if numbered else None,
        )  # fmt: skip
        draw = partial(_draw, kept[0][1], step, model) if len(kept) == 1 else None
        give_answer(table, self.answer, draw, **({} if numbered else {"rows": None}))

    def _compared(self, aligned: Iterable[_Aligned], gold: Sequence[Gold], model: str, name: str) -> Table:
        """The errors of all heads."""
        from attnviz.analysis.corpus.alignment_errors import AlignmentErrors

        errors = AlignmentErrors(self.heads, self.steps)
        for number, crosses in aligned:
            errors.add(crosses, gold[number - 1], name)
        return errors.table(model=model, unit=self.unit, gold=name)

    @staticmethod
    def _print_lines(found: Iterable[tuple[int, Alignment]], count: int) -> None:
        """Print a line for each of ``count`` pairs, an empty one where a pair could not be aligned."""
        line = 0
        for number, alignment in found:
            streams.put(b"\n" * (number - line - 1) + f"{alignment.pharaoh}\n".encode())
            line = number
        streams.put(b"\n" * (count - line))


def _draw(alignment: Alignment, step: str, model: str, style: Style) -> Figure:
    from attnviz.render import figure

    return figure.draw_alignment(alignment, step, model, style)
