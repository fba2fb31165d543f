"""``attnviz find``: which heads take one word to another."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from attnviz.cli import source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.map_options import MapOptions
from attnviz.cli.options import VIEW, ModelOptions, TextOptions, spread
from attnviz.cli.reading import decode_argument
from attnviz.cli.request import read_request
from attnviz.errors import UsageError


@spread
def find(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="WORDS",
            help="What looks: a word, bank:2, several words, or /a pattern/. Without a text, a record comes first.",
            rich_help_panel=VIEW,
        ),
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="WORDS", help="What is looked at.", rich_help_panel=VIEW)
    ] = None,
    rank: Annotated[
        Literal["lift", "mean_lift", "key_lift", "distance_lift", "weight"],
        typer.Option(
            metavar="COLUMN",
            help="lift (how many times what is usual for the head), weight, key_lift, distance_lift or mean_lift.",
            rich_help_panel=VIEW,
        ),
    ] = "lift",
    one_way: Annotated[
        bool, typer.Option("--one-way", help="Only from --from to --to, not back.", rich_help_panel=VIEW)
    ] = False,
    reading: TextOptions,
    model: ModelOptions,
    maps: MapOptions,
    answer: AnswerOptions,
) -> None:
    """Rank all heads by how much, and how unusually, they take some words to others."""
    answer.place()
    given, names = [decode_argument(each) for each in from_ or ()], tuple(map(decode_argument, to or ()))
    alone = text is None and reading.file is None
    start, words = (given[:1], given[1:]) if alone else ([], given)
    if not words and not names:
        raise UsageError(
            "no words are given to look for", hint='Give some: attnviz find "The bank …" --from bank --to loan'
        )
    from attnviz.analysis.text.find import find_links
    from attnviz.record import Pairs

    request = read_request(maps, evidence=False, pairs=Pairs(tuple(words), names))
    found, _ = source.observe_source(text, reading, start or None, model, request)
    give_answer(find_links(found, rank=rank, both=not one_way), answer)
