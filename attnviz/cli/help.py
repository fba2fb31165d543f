"""``attnviz help``: the manual in the terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import console, streams
from attnviz.cli.commands import nearest

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def help_(
    context: typer.Context,
    chapter: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHAPTER]", help="A chapter or a command; without one, all are listed."),
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
        _page(Manual(manual.chapter(name)), out)
    else:  # files and programs get the Markdown itself
        streams.put(manual.chapter(name).text.encode())


def _commands(context: typer.Context) -> Mapping[str, str]:
    """All commands, and what each does."""
    assert context.parent is not None  # noqa: S101
    group = context.parent.command
    return {name: command.get_short_help_str(200) for name, command in group.commands.items()}  # type: ignore[attr-defined]


def _show_options(context: typer.Context, name: str) -> None:
    """What ``attnviz NAME --help`` prints."""
    assert context.parent is not None  # noqa: S101
    context.parent.command.commands[name].make_context(name, ["--help"], context.parent)  # type: ignore[attr-defined]


def _page(shown: RenderableType, out: Console) -> None:
    """Print on a terminal; through the reader's pager what is longer than the screen."""
    if len(out.render_lines(shown)) < out.height:
        out.print(shown)
        return
    with _interruptible(), out.pager(styles=_pager_shows_styles()):
        out.print(shown)


def _pager_shows_styles() -> bool:
    """Whether the pager can show colours: ``less`` does with its option R, others may print the escapes as they are."""
    pager = os.environ.get("MANPAGER") or os.environ.get("PAGER") or "less"
    options = os.environ.setdefault("LESS", "FRX")
    return os.name != "nt" and Path(pager.split()[0]).name == "less" and "r" in f"{options} {pager}".lower()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Inside, Ctrl-C is the pager's: should it end this process, the pager would go on without a terminal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
