"""Print to standard output and standard error."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from attnviz.cli import streams
from attnviz.errors import ExitCode

if TYPE_CHECKING:
    from attnviz.model.check.judge import Check


def output() -> Console:
    """Return the console on standard output. Text is data: no markup, no highlighting, no emoji names."""
    # rich takes the encoding from a file that is passed explicitly.
    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)


def print_json(document: Any) -> None:
    """Print a JSON document for programs, in UTF-8 whatever the locale is."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    # File names that are not UTF-8 contain lone surrogates, which JSON can escape.
    streams.put(f"{text}\n".encode("utf-8", "backslashreplace"))


def errors() -> Console:
    """Return the console on standard error."""
    return Console(file=sys.stderr, stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_error(error: str) -> None:
    """Print an error: what was wrong, then what to do next."""
    _say("error: ", "bold red", error.splitlines())


def warn(*lines: str) -> None:
    """Print a warning about a result."""
    _say("warning: ", "bold yellow", lines)


def note(line: str) -> None:
    """Print a remark on standard error."""
    from attnviz.render.labels import clean

    errors().print(Text(clean(line), "dim"))


@contextlib.contextmanager
def compilation_noted(on: Console | None) -> Iterator[None]:
    """Print one line if something is compiled inside the block, since that takes seconds; None prints nothing."""
    from attnviz.attention.compiled import ON_COMPILE

    def say() -> None:
        ON_COMPILE.remove(say)
        if on is not None:
            on.print(Text("compiling the passes over weights, once on this machine: a few seconds …", "dim"))

    ON_COMPILE.append(say)
    try:
        yield
    finally:
        if say in ON_COMPILE:
            ON_COMPILE.remove(say)


def _say(kind: str, style: str, lines: Sequence[str]) -> None:
    """Print lines on standard error, cleaned: text from users and files must not control the terminal."""
    from attnviz.render.labels import clean

    what, *more = [clean(line) for line in lines if line]
    errors().print(Text(kind, style).append(what, "default not bold"))
    for line in more:
        errors().print(Text(line))


@contextlib.contextmanager
def fail_if_checked(check: Check | None) -> Iterator[None]:
    """Exit with a failed check's code at the end of the block, even if printing inside it failed."""
    try:
        yield
    finally:
        if check and not check.passed:
            fail_check(check)


def fail_check(check: Check) -> NoReturn:
    """Report a failed check on standard error, and exit with its code."""
    from attnviz.render.terminal.report import check_line

    errors().print(check_line(check))
    errors().print("Do not rely on this picture. Please report the model and the text: something here is wrong.")
    raise typer.Exit(ExitCode.CHECK)
