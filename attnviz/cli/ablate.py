"""``attnviz ablate``: what changes in what the model says without a head."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attnviz.cli import source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.documents import DocumentOptions
from attnviz.cli.effect_options import EFFECT, EffectTextOptions, TargetOptions, WayOptions, head_names
from attnviz.cli.options import VIEW, ModelOptions, spread
from attnviz.cli.reading import decode_argument
from attnviz.errors import UsageError


@spread
def ablate(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    head: Annotated[
        list[str] | None,
        typer.Option(
            metavar="L.H", help="A head: 5.7, L5H7, or 5.* for all of a layer. May be repeated.", rich_help_panel=EFFECT
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Each head by itself, which is the default.", rich_help_panel=EFFECT)
    ] = False,
    as_: Annotated[
        str | None,
        typer.Option("--as", metavar="TEXT", help="Give a head the weights of another text.", rich_help_panel=EFFECT),
    ] = None,
    by_word: Annotated[
        bool, typer.Option("--by-word", help="A row for each head and word.", rich_help_panel=VIEW)
    ] = False,
    rank: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column that heads are ranked by, by size.", rich_help_panel=VIEW),
    ] = None,
    way: WayOptions,
    wanted: TargetOptions,
    reading: EffectTextOptions,
    documents: DocumentOptions,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:
    """Measure what changes in what the model says without a head, beside the other heads of its layer.

    Zeroed by default; or its mean, frozen weights, or a cut link. The model itself is never changed.
    """
    answer.place()
    chosen = head_names(head)
    if every and (chosen or way.role):
        raise UsageError("both --all and some heads are given", hint="Leave --all out.")
    read = source.read_text(text, reading.file, "ablate")
    asked: dict[str, Any] = {"heads": chosen, **way.asked(documents), **reading.given(), **wanted.wanted()}
    asked |= {"as_": None if as_ is None else decode_argument(as_), "by_word": by_word, "rank": rank}
    from attnviz.cli.progress import step_progress

    loaded = model.load()
    source.explain(loaded)
    with step_progress("runs") as steps, way.texts(documents) as texts:
        found = loaded.ablate(read, **asked, **texts, on_progress=steps)
    give_answer(found, answer)
