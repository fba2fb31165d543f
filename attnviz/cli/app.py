"""The command line, gathered: ``main`` runs it."""

from __future__ import annotations

import gc
import sys
from typing import Annotated, NoReturn

import typer

from attnviz.cli.batch import batch
from attnviz.cli.check import check
from attnviz.cli.console import report
from attnviz.cli.cost import cost
from attnviz.cli.export import export
from attnviz.cli.models import models
from attnviz.cli.show import show
from attnviz.cli.signals import ending_at_once
from attnviz.errors import AttnvizError

app = typer.Typer(
    name="attnviz",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"attnviz {version('attnviz')}")
        raise typer.Exit


@app.callback()
def attnviz(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """See where a transformer looks: the attention of every layer and head, computed and checked."""


for command in (show, export, batch, check, models, cost):
    app.command()(command)


def main() -> NoReturn:
    """Run the command line; the exit code is one of ``ExitCode``."""
    # Modules are not garbage: with millions of objects from imports, each collection costs more than it frees.
    gc.set_threshold(1_000_000)
    # A terminal that can't write a character gets a question mark, not a traceback.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with ending_at_once():
            app()
    except AttnvizError as error:
        report(error)
        sys.exit(error.exit_code)
    sys.exit(0)
