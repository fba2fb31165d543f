"""``attnviz compare``: in which heads the attention of two texts, or of two models, differs."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import completion, source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.map_options import MapOptions
from attnviz.cli.options import MODEL, MODEL_VARIABLE, TEXT, VIEW, ModelOptions, TextOptions, spread
from attnviz.cli.reading import decode_argument
from attnviz.cli.request import read_request
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.analysis.table import Table
    from attnviz.record import Observation, Spread
    from attnviz.render.figure import Style


@dataclass(frozen=True)
class ComparedModels(ModelOptions):
    """One model, or the two that are compared, and how they are run."""

    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A folder, a Hub id, or 'default'; given twice, two models on one text.",
            show_default="default",
            rich_help_panel=MODEL,
            autocompletion=completion.complete_model,
        ),
    ] = None  # type: ignore[assignment]

    def each(self) -> list[ModelOptions]:
        """The options of each model."""
        shared = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "model"}
        return [
            ModelOptions(name, **shared)
            for name in self.model or [os.environ.get(MODEL_VARIABLE) or ModelOptions.model]
        ]


@spread
def compare(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT [OTHER]", help="Two texts, or one for two models.")
    ] = None,
    *,
    word: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="Compare only what this word looks at: bank, the:2.", rich_help_panel=VIEW),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="RECORD", help="A saved record, in place of a text.", rich_help_panel=TEXT),
    ] = None,
    reading: TextOptions,
    models: ComparedModels,
    maps: MapOptions,
    answer: AnswerOptions,
) -> None:
    """Rank all heads by how much the same words look elsewhere: in two texts, or in two models."""
    answer.place()
    sides = _sides([*(texts or ())], [*(start or ())], models.each(), reading)
    from attnviz.analysis.text.compare import compare, observe_two

    wanted = None if word is None else decode_argument(word)
    request = read_request(maps, evidence=False)

    def observe(side: _Side, spread: Spread) -> Observation:
        return source.observe_source(*side, replace(request, pairs=spread))[0]

    first, second = observe_two(partial(observe, sides[0]), partial(observe, sides[1]), wanted)
    found = compare(first, second, wanted)
    give_answer(found, answer, lambda style: _draw(found, first, second, style))


_Side = tuple[str | None, TextOptions, list[str] | None, ModelOptions]


def _sides(texts: list[str], records: list[str], models: list[ModelOptions], reading: TextOptions) -> list[_Side]:
    """What each side reads, and in which model.

    Raises:
        UsageError: not two texts or records, nor two models for one text.
    """
    count = len(texts) + len(records) + (reading.file is not None)
    if len(models) > 2 or count > 2 or count == 0:
        raise UsageError(
            f"{count} texts and {len(models)} models are given, expected two texts, or one text and two models",
            hint='Compare: attnviz compare "He sat on the bank." "The bank lent money." --word bank',
        )
    if len(models) == 2 and count == 2 and records:
        raise UsageError("records hold their models: --model is for texts", hint="Leave --model out.")
    if len(models) == 1 and count == 1:
        raise UsageError(
            "there is one text in one model, and nothing to compare it with",
            hint="Give another text, or a second --model.",
        )
    plain = replace(reading, file=None)
    given: list[tuple[str | None, TextOptions, list[str] | None]] = []
    given += [(None, reading, None)] * (reading.file is not None) + [(text, plain, None) for text in texts]
    given += [(None, TextOptions(), [record]) for record in records]
    if len(given) == 2:
        return [(*each, model) for each, model in zip(given, models * (3 - len(models)), strict=False)]
    if records:
        raise UsageError("a record holds one model: it can't be read in two", hint="Give the text in its place.")
    return [(*given[0], model) for model in models]


def _draw(found: Table, first: Observation, second: Observation, style: Style) -> Figure:
    """The head that differs most, on both sides."""
    from attnviz.analysis.text.aligned import align
    from attnviz.analysis.text.summary import summarise
    from attnviz.record import Heads
    from attnviz.render import figure

    places = [
        (int(found[layer][0]), int(found[head][0]))
        for layer, head in (("layer", "head"), ("other_layer", "other_head"))
    ]
    sides = [
        summarise(side, heads=Heads((layer,), (head,)))
        for side, (layer, head) in zip((first, second), places, strict=True)
    ]
    return figure.draw_difference(align(*sides), sides[0].units, style)
