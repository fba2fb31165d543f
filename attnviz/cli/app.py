"""Assemble the command line; ``run_app`` runs it, ``app`` has all commands."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

from attnviz.cli.commands import Command, Commands, examples
from attnviz.cli.console import output, print_error
from attnviz.cli.flags import flags_of, with_flags
from attnviz.cli.signals import end_on_signals
from attnviz.cli.streams import guard_streams
from attnviz.errors import AttnvizError, ExitCode

COMMANDS = (
    "show", "explore", "find", "heads", "relations", "compare", "align", "ablate", "contributions", "patch", "generate",
    "export", "batch", "check", "models", "cost", "schema", "help",
)  # fmt: skip
"""The commands, in the order of the help: each is the function of its name in a module of its name."""
_ALONE = {(name,) for name in COMMANDS if name != "help"}
"""What the command line may begin with, if only the module of that command is needed."""
if TYPE_CHECKING:
    app: typer.Typer


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output().print(f"attnviz {version('attnviz')}")
        raise typer.Exit


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


def make_app(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """Return the app with some commands; only their modules are imported, so that one command starts sooner."""
    made = typer.Typer(
        name="attnviz",
        cls=Commands,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback(invoke_without_command=True)(attnviz)
    for name in names:
        module = importlib.import_module(f"attnviz.cli.{name}")
        made.command(name, cls=Command)(getattr(module, "help_" if name == "help" else name))
    return made


@cache
def __getattr__(name: str) -> typer.Typer:
    """``app``: all commands."""
    if name != "app":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return make_app()


@cache
def command_group(names: Sequence[str] = COMMANDS) -> Callable[..., Any]:
    """Return the commands with their parameters, which typer reads from the signatures of the functions."""
    return get_command(make_app(names))


def run_app() -> None:
    """Run the command line, and exit with one of ``ExitCode``, or 128 + the number of a signal."""
    asked = tuple(sys.argv[1:2])
    with guard_streams():
        try:
            with end_on_signals():
                command_group(asked if asked in _ALONE else COMMANDS)(prog_name="attnviz")
        except AttnvizError as error:
            print_error(with_flags(str(error), flags_of(command_group())))
            sys.exit(error.exit_code)
