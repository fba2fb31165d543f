"""The page of a text: what the commands need to write one."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.cli import console
from attnviz.cli.commands import quoted
from attnviz.cli.options import MapOptions, ModelOptions, TextOptions
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.model.check.judge import Check
    from attnviz.record import Observation

CELLS = 128
"""The most cells across and down that a page has of a map whose weights are too many."""
KEPT = 8
"""How many links of each word a page has then."""
_FLAGS = {"which": "map"}


def page_of(found: Observation, command: str, check: Check | None = None) -> str:
    """The page of what was found of a text; of an encoder–decoder whose weights were kept it has all three maps.

    Raises:
        UsageError: the page would be too large.
    """
    from attnviz.render.page.text import TextAbout, text_page
    from attnviz.render.terminal.report import check_line

    about = TextAbout(command, str(check_line(check)) if check else "", check.passed if check else True)
    return text_page(maps_of(found), about)


def open_page(found: Observation, command: str, check: Check | None) -> None:
    """Write a page to a temporary file, open it in the browser if there is one, and say where it is.

    Raises:
        UsageError: it can't be written.
    """
    written = page_of(found, command, check)
    try:
        handle, name = tempfile.mkstemp(prefix="attnviz-", suffix=".html")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(written)
    except OSError as error:
        raise UsageError(
            f"no page can be written to {tempfile.gettempdir()} ({error.strerror})",
            hint="Write it elsewhere: attnviz export TEXT page.html",
        ) from None
    opened = _has_browser() and webbrowser.open(Path(name).as_uri())
    console.note(f"the page is {name}" if opened else f"no browser opened; the page is {name}")


def _has_browser() -> bool:
    """Whether there is a browser that is not one of the terminal, which would take over the screen."""
    try:
        return type(webbrowser.get()) is not webbrowser.GenericBrowser or "BROWSER" in os.environ
    except webbrowser.Error:
        return False


def maps_of(found: Observation) -> list[Observation]:
    """All maps of an encoder–decoder whose weights were kept, the one asked for last; else what was found."""
    from dataclasses import replace

    from attnviz.analysis.text.observing import replay
    from attnviz.record import EncoderDecoderRecord, MapName

    if not isinstance(found.whole, EncoderDecoderRecord):
        return [found]
    names: tuple[MapName, ...] = ("encoder", "decoder", "cross")
    others = [name for name in names if name != found.kind]
    return [
        *(
            replay(found.whole, replace(found.request, map=name, words=(), passage=None, generated=False))
            for name in others
        ),
        found,
    ]


def require_page_options(maps: MapOptions, given: dict[str, Any]) -> None:
    """Raise where a picture's option is ``given``, which a page does not know, or a part of the maps is asked for."""
    if maps.rows or maps.cols:
        raise UsageError("--rows and --cols are for pictures: in a page, drag over the heatmap to enlarge a part")
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise UsageError(f"{' and '.join(wrong)} are for pictures: a page is as wide and as dark as its reader wants")


def command_of(
    text: str | None, start: list[str] | None, reading: TextOptions, model: ModelOptions, maps: MapOptions
) -> str:
    """The ``attnviz show`` that shows the same, without its layer, head and word."""
    words = ["attnviz", "show", *([] if text is None else [text])]
    for value in start or ():
        words += ["--from", value]
    for options in (reading, model, maps):
        for field in fields(options):
            value = getattr(options, field.name)
            left = field.name in ("layer", "head", "special", "tokens", "rows", "cols")
            if left or value is None or (field.default is not MISSING and value == field.default):
                continue
            words.append(f"--{_FLAGS.get(field.name, field.name).replace('_', '-')}")
            if value is not True:
                words.append(str(value))
    return quoted(words)
