"""``attnviz align``: which word of the source each word of the target stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from attnviz.cli import source
from attnviz.cli.aligning import Aligning
from attnviz.cli.answers import AnswerOptions
from attnviz.cli.map_options import WeightsOption
from attnviz.cli.options import TEXT, VIEW, ModelOptions, TextOptions, spread
from attnviz.cli.parsing import parse_heads
from attnviz.errors import UsageError

_PAIRS = "Many pairs"
"""The panel of the help."""


@dataclass(frozen=True)
class PairOptions:
    """Files of sentence pairs, and gold alignments of them."""

    pairs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Sentence pairs: lines 'source ||| target', or a table with both; given twice, two parallel files.",
            rich_help_panel=_PAIRS,
        ),
    ] = None
    source_field: Annotated[
        str,
        typer.Option(metavar="NAME", help="The field or column of a table with the source.", rich_help_panel=_PAIRS),
    ] = "source"
    target_field: Annotated[str, typer.Option(metavar="NAME", help="That with the target.", rich_help_panel=_PAIRS)] = (
        "target"
    )
    gold: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Gold links, a line a pair: 0-0 sure, 0?0 or 0p0 possible; says the alignment error rate.",
            rich_help_panel=_PAIRS,
        ),
    ] = None
    one_based: Annotated[
        bool, typer.Option("--one-based", help="The gold links count words from 1.", rich_help_panel=_PAIRS)
    ] = False


@spread
def align(
    text: Annotated[str | None, typer.Argument(metavar="SOURCE", help="The source; - reads standard input.")] = None,
    *,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="RECORD", help="A saved record, in place of a text.", rich_help_panel=TEXT),
    ] = None,
    step: Annotated[
        Literal["reads", "predicts"] | None,
        typer.Option(
            metavar="STEP",
            help="Whose weights a target word has: the decoder's step that reads it, or that predicts it.",
            show_default="reads, or both to compare with --gold",
            rich_help_panel=VIEW,
        ),
    ] = None,
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
            show_default="word, or space for files and pharaoh",
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
    many: PairOptions,
    reading: TextOptions,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:
    """Say which word of the source each word of the target stands for, from cross-attention."""
    answer.place()
    if form == "pharaoh" and (answer.output or answer.as_json or many.gold):
        raise UsageError("--format pharaoh prints lines, and a document, a file or a comparison is asked for")
    if many.one_based and not many.gold:
        raise UsageError("--one-based is of gold links, and none are given", hint="Give them with --gold FILE.")
    alone = text is not None or reading != TextOptions() or bool(start)
    if alone is bool(many.pairs):
        raise UsageError(
            "both one pair and --pairs are given" if alone else "no text is given",
            hint='Give a source and a target: attnviz align "The dog sleeps." --target "Der Hund schläft." -m MODEL; '
            "or --pairs FILE.",
        )
    from attnviz.analysis.text.word_alignment import REQUEST, STEPS

    counted = unit or ("space" if many.pairs or many.gold or form == "pharaoh" else "word")
    steps = (step,) if step else STEPS if many.gold else STEPS[:1]
    run = Aligning(parse_heads(layer, head), steps, counted, form, replace(REQUEST, weights=weights), answer)
    gold = (many.gold, int(many.one_based)) if many.gold else None
    if many.pairs:
        run.files(many.pairs, (many.source_field, many.target_field), gold, model)
    else:
        run.one(source.observe_source(text, reading, start, model, run.request, many=True)[0], gold)
