"""True pictures in a terminal that can show them: kitty's graphics protocol, or sixel (iTerm2, WezTerm, foot, xterm).

``textual-image`` asks the terminal what it can when it is imported; nothing else imports it.
"""

from __future__ import annotations

import io
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderResult

from attnviz.analysis.text.shown_maps import HeadMap
from attnviz.analysis.text.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDEST = 110
"""The most columns of a picture."""
_COLUMNS = 11
"""The columns that take an inch, at which a picture's text is as large as the terminal's."""
_DPI = 200
_BELOW = 3
"""The lines that stay free below a picture as high as the screen."""


def missing() -> str:
    """Return what is missing for pictures in the terminal; empty if they can be shown.

    The terminal is asked, which takes up to a fifth of a second where it does not answer.
    """
    for name, streams in (("output", (sys.stdout, sys.__stdout__)), ("input", (sys.stdin, sys.__stdin__))):
        if not all(stream is not None and stream.isatty() for stream in streams):
            return f"the standard {name} is no terminal"
    logging.getLogger("textual_image").setLevel(logging.CRITICAL)  # it warns where a terminal does not tell its sizes
    try:
        from textual_image import renderable
    except ImportError:
        return "textual-image is not installed"
    able = renderable.Image in (renderable.SixelImage, renderable.TGPImage)
    return "" if able else _UNABLE


_UNABLE = "this terminal does not say that it can show kitty's graphics or sixels"


@dataclass(frozen=True, eq=False)
class Picture:
    """The map of one head as ``export`` draws it, as wide as the terminal; lower where its screen is low."""

    summary: Summary
    head: HeadMap

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from textual_image.renderable import Image

        width = min(options.max_width, _WIDEST)
        image: Any = Image(io.BytesIO(_png(self._draw(width / _COLUMNS))), width="auto", height="auto")
        yield from console.render(image, options.update_dimensions(width, max(console.height - _BELOW, 1)))

    def _draw(self, inches: float) -> Figure:
        from attnviz.render.figure import Style, draw_heads

        found = self.summary.observation
        marked = found.asked if found.named and not found.large else ()
        style = Style(theme="dark", width=inches, dpi=_DPI)
        return draw_heads(found, self.summary.units, [self.head], style, marked)


def _png(figure: Figure) -> bytes:
    from attnviz.render.figure import to_png

    return to_png(figure)
