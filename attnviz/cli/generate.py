"""``attnviz generate``: what the model writes with and without some heads."""

from __future__ import annotations

from typing import Annotated

import typer

from attnviz.cli import source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.documents import DocumentOptions
from attnviz.cli.effect_options import EFFECT, OneTextOptions, WayOptions, head_names
from attnviz.cli.options import TEXT, ModelOptions, spread
from attnviz.errors import UsageError

_ROWS = 6
"""How many steps are printed below the texts."""


@spread
def generate(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="L.H", help="A head: 5.7, L5H7, or 5.* for all of a layer. May be repeated.", rich_help_panel=EFFECT
        ),
    ] = None,
    way: WayOptions,
    tokens: Annotated[
        int,
        typer.Option(
            "--tokens",
            "--generate",
            "--max-new-tokens",
            min=1,
            metavar="N",
            help="How many tokens the model writes at most.",
            rich_help_panel=TEXT,
        ),
    ] = 32,
    reading: OneTextOptions,
    documents: DocumentOptions,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:
    """Write on as the model does, and as it does without some heads, side by side.

    The heads are zeroed by default; or their mean, uniform weights, or a cut link: --cut generated WORD hides a word of
    the text from all that is written.
    """
    answer.place()
    chosen, asked = head_names(without), way.asked(documents)
    if not (chosen or way.role or way.cut):
        raise UsageError("no head is given to do without", hint='Give one: attnviz generate "The bank …" --without 5.7')
    read = source.read_text(text, reading.file, "generate")
    loaded = model.load()
    source.explain(loaded)
    from attnviz.cli import console

    with console.errors().status("writing …"), way.texts(documents) as texts:
        found = loaded.generate(
            read, chosen, **asked, **texts, tokens=tokens, chat=reading.chat, truncate=reading.truncate
        )
    from attnviz.render.terminal.writing import BothTexts

    give_answer(found, answer, rows=_ROWS, above=[BothTexts(found)])
