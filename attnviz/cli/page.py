"""The page of a text: what the commands need to write one."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.cli import console, source
from attnviz.cli.commands import quoted
from attnviz.cli.map_options import MapOptions
from attnviz.cli.options import ModelOptions, TextOptions
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.model.check.judge import Check
    from attnviz.record import Observation, Request

CELLS = 128
"""The most cells across and down that a page has of a map whose weights are too many."""
KEPT = 8
"""How many links of each word a page has then."""
REGIONS = 4
"""How many parts of each head's map it has then that are not pooled."""
_FLAGS = {"which": "map"}


def read_sources(
    text: str | None, start: list[str] | None, reading: TextOptions, model: ModelOptions, request: Request,
    *, neurons: bool,
) -> list[Observation]:  # fmt: skip
    """What a page is made of, with scores where the text is short, and with vectors if ``neurons`` are asked for.

    Raises:
        UsageError, InputError, ModelError: as ``source.observe_source``.
    """
    request = replace(request, size=CELLS, top=KEPT, regions=REGIONS, evidence=True)  # all weights, where they fit
    found, _ = source.observe_source(text, reading, start, model, request, scores=True, neurons=neurons)
    return sources_of(found)


def sources_of(found: Observation) -> list[Observation]:
    """What was found of a text, or of all maps of a model if all weights were kept and all of them are asked for."""
    from attnviz.analysis.text.replaying import with_other_maps
    from attnviz.render.page.content import shows_all

    return with_other_maps(found) if shows_all(found.request) else [found]


def page_of(found: list[Observation], command: str, check: Check | None = None, *, neurons: bool = False) -> str:
    """The page of what was ``found`` of a text.

    Raises:
        UsageError: the page would be too large, or can't have the ``neurons`` that are asked for.
    """
    from attnviz.render.page.text import TextAbout, text_page

    if check is None:
        return text_page(found, TextAbout(command, neurons=neurons))
    from attnviz.render.terminal.report import check_line

    return text_page(found, TextAbout(command, str(check_line(check, found[0].measure)), check.passed, neurons))


def open_page(found: Observation, command: str, check: Check | None, *, neurons: bool) -> None:
    """Write a page to a temporary file, open it in the browser if there is one, and say where it is.

    Raises:
        UsageError: it can't be written, or as ``page_of``.
    """
    written = page_of(sources_of(found), command, check, neurons=neurons)
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


def require_page_options(maps: MapOptions, given: dict[str, Any]) -> None:
    """Raise where a picture's option is ``given``, which a page does not know, or a part of the maps is asked for."""
    if maps.rows or maps.cols:
        raise UsageError("--rows and --cols are for pictures: in a page, drag over the heatmap to enlarge a part")
    wrong = [name for name, value in given.items() if value]
    if wrong:
        names = f"{' and '.join(wrong)} {'are' if len(wrong) > 1 else 'is'}"
        raise UsageError(f"{names} for pictures: a page is as wide and as dark as its reader wants")


def command_of(
    text: str | None, start: list[str] | None, reading: TextOptions, model: ModelOptions, maps: MapOptions,
    *, name: str = "show", more: Sequence[str] = (),
) -> str:  # fmt: skip
    """The command of a ``name`` that shows the same, with ``more`` words behind the text, without layer and head."""
    words = ["attnviz", name, *([] if text is None else [text]), *more]
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
