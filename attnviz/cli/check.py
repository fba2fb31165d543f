"""``attnviz check``: compare attnviz's attention with transformers' own, layer by layer."""

from __future__ import annotations

from typing import Annotated

import typer

from attnviz.cli import console, source
from attnviz.cli.options import ModelOptions, TextOptions, spread
from attnviz.cli.reading import read_words

BANK = "The bank approved the loan because the company had strong financials."


@spread
def check(
    text: Annotated[
        str | None, typer.Argument(help="The text; - reads standard input; without one, an example.")
    ] = None,
    *,
    reading: TextOptions,
    model: ModelOptions,
    float64: Annotated[bool, typer.Option("--float64", help="Run both sides in double precision.")] = False,
) -> None:
    """Compare attnviz's attention with the model's own, in every layer and head."""
    text = source.read_text(BANK if text is None and reading.file is None else text, reading.file)
    reading.require_whole()
    read_words(reading.words)  # only verified: words do not change what is compared
    from attnviz.render.terminal.notes import Hanging
    from attnviz.render.terminal.report import check_line, check_table, unchecked_line

    loaded = model.load()
    if loaded.uncheckable:
        source.explain(loaded)
        console.output().print(unchecked_line(loaded.uncheckable))
        return
    with console.errors().status("checking against transformers …"):
        found = loaded.check(text, float64=float64, **reading.given())
    source.explain(loaded)
    out = console.output()
    with console.fail_if_checked(found):
        out.print(check_table(found))
    out.print(Hanging(check_line(found)))
