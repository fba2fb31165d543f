"""Assemble the command line; ``run_app`` runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import typer
from typer.main import get_command

from attnviz.cli.ablate import ablate
from attnviz.cli.align import align
from attnviz.cli.batch import batch
from attnviz.cli.check import check
from attnviz.cli.commands import Command, Commands, examples
from attnviz.cli.compare import compare
from attnviz.cli.console import output, print_error
from attnviz.cli.contributions import contributions
from attnviz.cli.cost import cost
from attnviz.cli.explore import explore
from attnviz.cli.export import export
from attnviz.cli.find import find
from attnviz.cli.flags import flags_of, with_flags
from attnviz.cli.generate import generate
from attnviz.cli.heads import heads
from attnviz.cli.help import help_
from attnviz.cli.models import models
from attnviz.cli.patch import patch
from attnviz.cli.relations import relations
from attnviz.cli.schema import schema
from attnviz.cli.show import show
from attnviz.cli.signals import end_on_signals
from attnviz.cli.streams import guard_streams
from attnviz.errors import AttnvizError, ExitCode

app = typer.Typer(
    name="attnviz",
    cls=Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output().print(f"attnviz {version('attnviz')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def attnviz(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  (its callback prints it)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """See where a transformer looks: the attention of every layer and head, computed and checked."""
    if context.invoked_subcommand is None:
        output().print(examples(), soft_wrap=True)
        raise typer.Exit(ExitCode.USAGE)


for command in (
    show,
    explore,
    find,
    heads,
    relations,
    compare,
    align,
    ablate,
    contributions,
    patch,
    generate,
    export,
    batch,
    check,
    models,
    cost,
    schema,
    help_,
):
    app.command(command.__name__.removesuffix("_"), cls=Command)(command)


@cache
def command_group() -> Callable[..., Any]:
    """Return the commands with their parameters, which typer reads from the signatures of the functions."""
    return get_command(app)


def run_app() -> None:
    """Run the command line, and exit with one of ``ExitCode``, or 128 + the number of a signal."""
    with guard_streams():
        try:
            with end_on_signals():
                command_group()(prog_name="attnviz")
        except AttnvizError as error:
            print_error(with_flags(str(error), flags_of(command_group())))
            sys.exit(error.exit_code)
