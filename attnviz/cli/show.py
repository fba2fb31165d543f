"""``attnviz show``: a text's attention in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.cli import console, page, source
from attnviz.cli.graphics import Graphics, has_pictures
from attnviz.cli.map_options import MapOptions, ThresholdOption
from attnviz.cli.options import VIEW, FromOption, ModelOptions, NeuronsOption, TextOptions, spread
from attnviz.cli.parsing import parse_top, parse_weight
from attnviz.cli.reading import decode_argument
from attnviz.cli.request import read_request
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from attnviz.analysis.text.summary import Summary
    from attnviz.interface import Model
    from attnviz.model.check.judge import Check
    from attnviz.record import Observation

    Then = Callable[[Check | None], None]

_KEYS = 3
"""How many keys are listed for each word."""


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
    received: Annotated[
        bool,
        typer.Option("--received", help="List what looks at each word, not what it looks at.", rich_help_panel=VIEW),
    ] = False,
    top: Annotated[
        str,
        typer.Option(
            metavar="N|all",
            help="How many keys are listed for each word; all: 3, and no table is cut.",
            rich_help_panel=VIEW,
        ),
    ] = str(_KEYS),
    links: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many links are listed.", rich_help_panel=VIEW)
    ] = 8,
    rank: Annotated[
        Literal["lift", "weight"] | None,
        typer.Option(
            metavar="WHAT",
            help="What the listed links are ranked by: lift (how many times what is usual for the head) or weight.",
            show_default="lift",
            rich_help_panel=VIEW,
        ),
    ] = None,
    cell: Annotated[
        Literal["link", "entropy", "sink", "distance"],
        typer.Option(
            metavar="WHAT",
            help="What the overview has of each head: link, entropy, sink or distance.",
            rich_help_panel=VIEW,
        ),
    ] = "link",
    threshold: ThresholdOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
    check: Annotated[bool, typer.Option(help="Compare with transformers afterwards.")] = True,
    opened: Annotated[bool, typer.Option("--open", help="Open a page to look around in, in the browser.")] = False,
    neurons: NeuronsOption = False,
    graphics: Annotated[
        Graphics,
        typer.Option(
            metavar="HOW",
            envvar="ATTNVIZ_GRAPHICS",
            help="Draw maps as blocks; as pixels, where the terminal knows kitty's graphics or sixel; or auto.",
            rich_help_panel=VIEW,
        ),
    ] = "blocks",
) -> None:
    """Show which words each head of each layer looks at."""
    words, most = tuple(map(decode_argument, token or ())), parse_top(top)
    if opened:
        page.require_page_options(maps, {"--threshold": threshold})
    elif neurons:
        raise UsageError("--neurons are for the page: give --open as well")
    request = read_request(
        maps,
        everything=everything,
        words=words,
        cell=cell,
        threshold=parse_weight("--threshold", threshold) or 0.0,
        rank=rank,
        received=received,
        top=most or _KEYS,
        links=links,
        evidence=check or opened,
    )
    pictures = not as_json and has_pictures(graphics)
    found, loaded = source.observe_source(text, reading, start, model, request, scores=opened, neurons=neurons)
    from attnviz.analysis.text.summary import summarise

    summary = summarise(found)
    unchecked = _unchecked(loaded) if check else "--no-check"
    checking = (lambda: None) if unchecked or not loaded else lambda: _check(loaded, found)
    command = page.command_of(text, start, reading, model, maps)
    then = (lambda checked: page.open_page(found, command, checked, neurons=neurons)) if opened else _nothing
    if as_json:
        _print_document(summary, checking, then)
    else:
        parts = _parts(summary, named=bool(token), every=most is None, pictures=pictures)
        _print_screen(summary, parts, checking, then, unchecked)


def _nothing(_: Check | None) -> None:
    """Nothing comes after the check."""


def _print_document(summary: Summary, checking: Callable[[], Check | None], then: Then) -> None:
    """One JSON document, which holds the check: it comes first."""
    from attnviz.render.document import summary_document

    checked = checking()
    with console.fail_if_checked(checked):
        console.print_json(summary_document(summary, checked))
        then(checked)


def _parts(summary: Summary, *, named: bool, every: bool, pictures: bool) -> Iterator[RenderableType]:
    """All that is printed before the check."""
    from attnviz.render.terminal.screen import summary_parts

    if not pictures:
        return summary_parts(summary, named=named, every=every)
    from attnviz.render.terminal.pixels import Picture

    return summary_parts(summary, named=named, every=every, draw=partial(Picture, summary))


def _print_screen(
    summary: Summary, parts: Iterable[RenderableType], checking: Callable[[], Check | None], then: Then, unchecked: str
) -> None:
    """Everything on the screen, and then the check, so that nobody waits for it."""
    from attnviz.render.terminal.notes import Hanging
    from attnviz.render.terminal.report import check_line, unchecked_line

    out = console.output()
    for part in parts:
        out.print(part)
    sys.stdout.flush()
    checked = checking()
    with console.fail_if_checked(checked):
        if checked is None or checked.passed:
            line = check_line(checked, summary.units.measure) if checked else unchecked_line(unchecked)
            out.print(Hanging(line))
        then(checked)


def _unchecked(model: Model | None) -> str:
    """Why there is nothing to check with; empty where there is."""
    return model.uncheckable if model else "the record was read from a file"


def _check(model: Model, found: Observation) -> Check:
    """The check of what was shown."""
    with console.errors().status("checking against transformers …"):
        return model.check_record(found)
