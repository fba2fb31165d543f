"""``attnviz cost``: what a text would cost, before it is paid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import console, source
from attnviz.cli.options import ModelOptions, spread
from attnviz.errors import UnsupportedModel, UsageError

if TYPE_CHECKING:
    from attnviz.interface import Model
    from attnviz.model.cost import Cost, Shape

SENTENCE = "The bank approved the loan because the company had strong financials."
"""What the model reads, again and again, where its time is measured."""


@spread
def cost(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    tokens: Annotated[
        int | None, typer.Option("--tokens", "-n", min=1, max=10**12, metavar="N", help="Of N tokens, without a text.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the text from a UTF-8 file.")] = None,
    model: ModelOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
    measure: Annotated[bool, typer.Option(help="Run the model for a moment to say how long it would take.")] = True,
) -> None:
    """Say what a text would cost: scores, memory and time."""
    if tokens is not None and (text is not None or file is not None):
        raise UsageError("both a text and --tokens are given", hint="Give one of them.")
    if tokens is None:
        text = source.read_text(text, file)
    loaded = model.load()
    from attnviz.model import cost as costs
    from attnviz.model import plan
    from attnviz.model.foresee import free_memory
    from attnviz.render import cost as tables

    found = plan.plan(loaded.checkpoint)
    if found.way == "not at all":
        raise UnsupportedModel(f"{found.name}: {found.reason}")
    shape = plan.shape(loaded.checkpoint)
    needed = costs.cost(shape, tokens or _count(loaded, text or ""), bytes_=loaded.options.dtype.itemsize)
    free = free_memory(loaded.options)
    seconds = None
    if measure and (free is None or (needed.model or 0) < free):
        with console.errors().status("measuring …"):
            seconds = _seconds(loaded, needed, shape)
    estimate = tables.Estimate(found, shape, needed, free, seconds)
    if as_json:
        typer.echo(json.dumps(tables.document(estimate), ensure_ascii=False, allow_nan=False))
    else:
        console.output().print(tables.table(estimate))


def _count(model: Model, text: str) -> int:
    """How many tokens the model reads of ``text``, whether or not it has positions for them."""
    from attnviz.encoding import encode

    return len(encode(model.checkpoint.tokenizer, text))


def _seconds(model: Model, needed: Cost, shape: Shape) -> float:
    """How long the text would take on this machine, from a short run."""
    from attnviz.model.measure import measure

    ids = model.encode(SENTENCE).ids
    return measure(model.way, shape, ids, bytes_=model.options.dtype.itemsize).seconds(needed, shape)
