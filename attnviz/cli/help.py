"""``attnviz help``: show the manual in the terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import completion, console, streams
from attnviz.cli.commands import nearest

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def help_(
    context: typer.Context,
    chapter: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHAPTER]",
            help="A chapter or a command; without one, all are listed.",
            autocompletion=completion.complete_chapter,
        ),
    ] = None,
) -> None:
    """Show a chapter of the manual, or list all chapters."""
    from attnviz import manual
    from attnviz.render.terminal.manual import Manual, contents

    out, commands = console.output(), _commands(context)
    if not chapter:
        out.print(contents([manual.chapter(name) for name in manual.CHAPTERS], list(commands.items())))
        return
    titles = {manual.chapter(name).title.lower(): name for name in manual.CHAPTERS}
    known = {**{name: name for name in (*commands, *manual.CHAPTERS)}, **titles}
    name = nearest(" ".join(chapter), known, "chapter", "attnviz help")
    if name not in manual.CHAPTERS:
        _show_options(context, name)
    elif out.is_terminal:
        page(Manual(manual.chapter(name)), out)
    else:  # files and programs get the Markdown itself
        streams.put(manual.chapter(name).text.encode())


def _commands(context: typer.Context) -> Mapping[str, str]:
    """Return all commands, and what each does."""
    assert context.parent is not None  # noqa: S101
    group = context.parent.command
    return {name: command.get_short_help_str(200) for name, command in group.commands.items()}  # type: ignore[attr-defined]


def _show_options(context: typer.Context, name: str) -> None:
    """Print what ``attnviz NAME --help`` prints."""
    assert context.parent is not None  # noqa: S101
    context.parent.command.commands[name].make_context(name, ["--help"], context.parent)  # type: ignore[attr-defined]


def page(shown: RenderableType, out: Console) -> None:
    """Print to a terminal; use the reader's pager for what is longer than the screen."""
    os.environ.pop("MANPAGER", None)  # pydoc, which calls the pager, would prefer it to PAGER
    name = next(iter(os.environ.get("PAGER", "").split()), "")
    if not name:
        os.environ.pop("PAGER", None)  # it may be blank
    if len(out.render_lines(shown)) < out.height or (name and not shutil.which(name)):
        out.print(shown)
        return
    with _interruptible(), out.pager(styles=_shows_styles(name or "less")):
        out.print(shown)


def _shows_styles(pager: str) -> bool:
    """Whether the pager shows colours: ``less`` does with its option R; others may print the escapes literally."""
    options = os.environ.setdefault("LESS", "FRX") + os.environ.get("PAGER", "")
    return os.name != "nt" and Path(pager).name == "less" and "r" in options.lower()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Leave Ctrl-C to the pager inside the block: if it ended this process, the pager would continue without a
    terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
