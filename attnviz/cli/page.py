"""The page of a text: what the commands need to write one."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

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


def maps_of(found: Observation) -> list[Observation]:
    """All maps of an encoder–decoder whose weights were kept, the one asked for last; else what was found."""
    from dataclasses import replace

    from attnviz.analysis.text.observing import replay
    from attnviz.record import EncoderDecoder

    if not isinstance(found.whole, EncoderDecoder):
        return [found]
    others = [name for name in ("encoder", "decoder", "cross") if name != found.kind]
    return [*(replay(found.whole, replace(found.request, map=name, words=())) for name in others), found]


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
