"""``attnviz contributions``: which heads and words add to what the model says next."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from attnviz.cli import source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.effect_options import EFFECT, EffectTextOptions, TargetOptions
from attnviz.cli.options import ModelOptions, spread
from attnviz.cli.reading import decode_argument


@spread
def contributions(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    wanted: TargetOptions,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="WORD",
            help="Look at the word that comes after this one; or a classifier's label of it.",
            show_default="the end",
            rich_help_panel=EFFECT,
        ),
    ] = None,
    by: Annotated[
        Literal["head", "word"],
        typer.Option(
            metavar="WHAT", help="A row for each head, MLP and embedding, or for each word behind each head.",
            rich_help_panel=EFFECT,
        ),
    ] = "head",
    reading: EffectTextOptions,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:  # fmt: skip
    """Rank what adds to the model's next word, directly: heads, the words behind them, MLPs, embeddings and biases."""
    answer.place()
    read = source.read_text(text, reading.file, "contributions")
    loaded = model.load()
    from attnviz.cli.progress import run_progress

    with run_progress(loaded) as progress:
        found = loaded.contributions(
            read, **wanted.wanted(), at=None if at is None else decode_argument(at), by=by, **reading.given(),
            observers=[progress],
        )  # fmt: skip
    source.explain(loaded)
    give_answer(found, answer)
