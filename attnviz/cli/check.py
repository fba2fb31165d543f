"""``attnviz check``: our attention against transformers' own, layer by layer."""

from __future__ import annotations

from typing import Annotated

import typer

from attnviz.cli import console, source
from attnviz.cli.options import FileOption, ModelOption, PairOption, RevisionOption, TruncateOption

BANK = "The bank approved the loan because the company had strong financials."


def check(
    text: Annotated[
        str | None, typer.Argument(help="The text; - reads standard input; without one, a sentence of ours.")
    ] = None,
    file: FileOption = None,
    pair: PairOption = None,
    truncate: TruncateOption = False,
    model: ModelOption = "default",
    revision: RevisionOption = None,
    float64: Annotated[bool, typer.Option("--float64", help="Run both sides in double precision.")] = False,
) -> None:
    """Check our attention against the model's own, in every layer and head."""
    text = source.read_text(BANK if text is None and file is None else text, file)
    from attnviz.interface import load
    from attnviz.render import terminal

    loaded = load(model, revision=revision)
    with console.errors().status("checking against transformers …"):
        found = loaded.check(text, pair, float64=float64, truncate=truncate)
    out = console.output()
    out.print(terminal.check_table(found))
    if not found.passed:
        console.fail(found)
    out.print(terminal.check_line(found))
