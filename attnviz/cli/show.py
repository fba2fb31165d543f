"""``attnviz show``: a text's attention in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.cli import console, source
from attnviz.cli.options import (
    VIEW,
    FromOption,
    MapOptions,
    ModelOptions,
    TextOptions,
    spread,
)
from attnviz.cli.reading import decode_argument
from attnviz.cli.request import read_request

if TYPE_CHECKING:
    from attnviz.analysis.text.summary import Summary
    from attnviz.interface import Model
    from attnviz.model.check.judge import Check
    from attnviz.record import Observation


@spread
def show(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    reading: TextOptions,
    start: FromOption = None,
    model: ModelOptions,
    maps: MapOptions,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Count everything: function words and positional heads too.", rich_help_panel=VIEW),
    ] = False,
    token: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            help="Only what this word looks at; the:2 is the second 'the'. May be repeated.",
            rich_help_panel=VIEW,
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many words each word gets.", rich_help_panel=VIEW)
    ] = 3,
    links: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many links are listed.", rich_help_panel=VIEW)
    ] = 8,
    cell: Annotated[
        Literal["link", "entropy", "sink", "distance"],
        typer.Option(
            metavar="WHAT", help="The overview: link, entropy, sink or distance of each head.", rich_help_panel=VIEW
        ),
    ] = "link",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
    check: Annotated[bool, typer.Option(help="Compare with transformers afterwards.")] = True,
) -> None:
    """Show which words each head of each layer looks at."""
    words = tuple(map(decode_argument, token or ()))
    request = read_request(maps, everything=everything, words=words, cell=cell, top=top, links=links, evidence=check)
    found, loaded = source.observe_source(text, reading, start, model, request)
    from attnviz.analysis.text.summary import summarise

    summary = summarise(found)
    unchecked = _unchecked(loaded) if check else "--no-check"
    checking = (lambda: None) if unchecked or not loaded else lambda: _check(loaded, found)
    if as_json:
        _print_document(summary, checking)
    else:
        _print_screen(summary, checking, named=bool(token), unchecked=unchecked)


def _print_document(summary: Summary, checking: Callable[[], Check | None]) -> None:
    """One JSON document, which holds the check: it comes first."""
    from attnviz.render.document import summary_document

    checked = checking()
    with console.fail_if_checked(checked):
        console.print_json(summary_document(summary, checked))


def _print_screen(summary: Summary, checking: Callable[[], Check | None], *, named: bool, unchecked: str) -> None:
    """Everything on the screen, and then the check, so that nobody waits for it."""
    from attnviz.render.terminal import screen as terminal
    from attnviz.render.terminal.report import check_line, unchecked_line

    out = console.output()
    for part in terminal.summary_parts(summary, named=named):
        out.print(part)
    sys.stdout.flush()
    checked = checking()
    with console.fail_if_checked(checked):
        if checked is None or checked.passed:
            out.print(check_line(checked) if checked else unchecked_line(unchecked))


def _unchecked(model: Model | None) -> str:
    """Why there is nothing to check with; empty where there is."""
    return model.uncheckable if model else "the record was read from a file"


def _check(model: Model, found: Observation) -> Check:
    """The check of what was shown."""
    with console.errors().status("checking against transformers …"):
        return model.check_record(found)
