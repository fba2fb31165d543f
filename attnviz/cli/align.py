"""``attnviz align``: which word of the source each word of the target stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.cli import console, source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.options import TEXT, VIEW, ModelOptions, TextOptions, WeightsOption, spread
from attnviz.cli.parsing import parse_heads
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.analysis.text.word_alignment import Alignment


@spread
def align(
    text: Annotated[str | None, typer.Argument(metavar="SOURCE", help="The source; - reads standard input.")] = None,
    *,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="RECORD", help="A saved record, in place of a text.", rich_help_panel=TEXT),
    ] = None,
    step: Annotated[
        Literal["reads", "predicts"],
        typer.Option(
            metavar="STEP",
            help="Whose weights a target word has: the decoder's step that reads it, or that predicts it.",
            rich_help_panel=VIEW,
        ),
    ] = "reads",
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="N,N-N",
            help="The layers whose heads are averaged.",
            show_default="the middle one, or of predicts the last but one",
            rich_help_panel=VIEW,
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(metavar="N,N-N", help="The heads that are averaged.", show_default="all", rich_help_panel=VIEW),
    ] = None,
    unit: Annotated[
        Literal["word", "space", "token"] | None,
        typer.Option(
            metavar="UNIT",
            help="What is aligned: word, token, or what white space separates (space), as gold files count.",
            show_default="word, or space for pharaoh",
            rich_help_panel=VIEW,
        ),
    ] = None,
    weights: WeightsOption = None,
    form: Annotated[
        Literal["table", "pharaoh"],
        typer.Option(
            "--format", metavar="FORMAT", help="table, or pharaoh: a line 0-0 2-1 for each pair.", rich_help_panel=VIEW
        ),
    ] = "table",
    reading: TextOptions,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:
    """Say which word of the source each word of the target stands for, from cross-attention."""
    answer.place()
    if form == "pharaoh" and (answer.output or answer.as_json):
        raise UsageError("--format pharaoh prints lines, and a document or a file is asked for")
    if text is None and reading.file is None and not start:
        raise UsageError(
            "no text is given",
            hint='Give a source and a target: attnviz align "The dog sleeps." --target "Der Hund schläft." -m MODEL',
        )
    from attnviz.analysis.text.word_alignment import REQUEST, alignment_table, cross_weights
    from attnviz.analysis.text.word_alignment import align as align_words

    heads = parse_heads(layer, head)
    counted = unit or ("space" if form == "pharaoh" else "word")
    found, _ = source.observe_source(text, reading, start, model, replace(REQUEST, weights=weights))
    alignment = align_words(cross_weights(found, step=step, unit=counted), heads, step)
    if form == "pharaoh":
        console.output().print(alignment.pharaoh, soft_wrap=True)
        return
    table = alignment_table([alignment], step=step, unit=counted, model=found.model)
    give_answer(table, answer, lambda: _draw(alignment, step, found.model), rows=None)


def _draw(alignment: Alignment, step: str, model: str) -> Figure:
    from attnviz.render import figure

    return figure.draw_alignment(alignment, step, model)
