"""``attnviz show``: a text's attention in the terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.cli import console, source
from attnviz.cli.options import (
    VIEW,
    AllOption,
    FileOption,
    FromOption,
    HeadOption,
    LayerOption,
    MapOption,
    ModelOption,
    PairOption,
    RevisionOption,
    SpecialOption,
    TokensOption,
    TruncateOption,
    parse_heads,
)

if TYPE_CHECKING:
    from attnviz.analysis.summary import Summary
    from attnviz.interface import Model
    from attnviz.model.check import Check
    from attnviz.record import Attention


def show(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    file: FileOption = None,
    pair: PairOption = None,
    record: FromOption = None,
    truncate: TruncateOption = False,
    model: ModelOption = "default",
    revision: RevisionOption = None,
    which: MapOption = None,
    layer: LayerOption = None,
    head: HeadOption = None,
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
    tokens: TokensOption = False,
    special: SpecialOption = False,
    everything: AllOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
    check: Annotated[bool, typer.Option(help="Compare with transformers afterwards.")] = True,
) -> None:
    """Show which words each head of each layer looks at."""
    heads = parse_heads(layer, head)
    found, loaded = source.attend(text, file, record, pair=pair, truncate=truncate, model=model, revision=revision)
    from attnviz.analysis.summary import summarise

    summary = summarise(
        source.pick_map(found, which),
        tokens=tokens,
        special=special,
        everything=everything,
        heads=heads,
        words=token or (),
        cell=cell,
        top=top,
        links=links,
    )
    if as_json:
        checked = _print_document(summary, loaded, check=check)
    else:
        checked = _print_screen(summary, loaded, check=check, named=bool(token))
    if checked and not checked.passed:
        console.fail(checked)


def _print_document(summary: Summary, model: Model | None, *, check: bool) -> Check | None:
    """One JSON document, which holds the check: it comes first."""
    from attnviz.render.document import document

    checked = _check(model, summary.attention) if check else None
    typer.echo(json.dumps(document(summary, checked), ensure_ascii=False, allow_nan=False))
    return checked


def _print_screen(summary: Summary, model: Model | None, *, check: bool, named: bool) -> Check | None:
    """Everything on the screen, and then the check, so that nobody waits for it."""
    from attnviz.render import terminal

    out = console.output()
    for part in terminal.show(summary, named=named):
        out.print(part)
    sys.stdout.flush()
    checked = _check(model, summary.attention) if check else None
    if checked is None or checked.passed:
        out.print(terminal.check_line(checked) if checked else terminal.unchecked_line(check))
    return checked


def _check(model: Model | None, attention: Attention) -> Check | None:
    """The check of what was shown; a record that was read from a file has no model to check with."""
    if model is None:
        return None
    with console.errors().status("checking against transformers …"):
        return model.check_encoding(attention.encoding)
