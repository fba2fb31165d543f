"""How pictures look, and how they are saved."""

from __future__ import annotations

import contextlib
import difflib
import io
import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, Literal

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

from attnviz.errors import UsageError
from attnviz.render import palette
from attnviz.render.labels import clean

Theme = Literal["light", "dark"]

_PIXELS = 200_000_000
"""The most pixels of a picture: beyond, drawing takes more memory than most machines have."""


@dataclass(frozen=True)
class Style:
    """How a picture looks. ``size`` is (width, height) in inches; None leaves a value to the picture.

    A ``title`` without a letter is none.
    """

    theme: Theme = "light"
    cmap: str | None = None
    size: tuple[float, float] | None = None
    dpi: int = 200
    title: str | None = None

    @property
    def ink(self) -> str:
        """The colour of text and lines."""
        return "#1a1a24" if self.theme == "light" else "#e8e8ee"

    @property
    def paper(self) -> str:
        """The colour behind everything."""
        return "#ffffff" if self.theme == "light" else "#0c0c14"

    @property
    def frame(self) -> str:
        """The colour of the lines between heads and around maps."""
        return "#c4c4d0" if self.theme == "light" else "#45455c"

    def titled(self, usual: str) -> str:
        """The title, which is the ``usual`` one unless another is given, or none."""
        if self.title is None:
            return clean(usual)
        return clean(self.title) if self.title.strip() else ""


_DRAWING = threading.RLock()


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Inside, matplotlib has its settings of the factory, since those of its user must not change a picture.

    Usable as a decorator. The settings are those of the whole process, so that only one thread draws at a time.
    """
    plain: dict[Any, Any] = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
    with _DRAWING, mpl.rc_context(plain | {"svg.fonttype": "path", "pdf.fonttype": 42}):
        yield


def colormap(style: Style) -> Colormap:
    """The style's colour map: one of ours, or any of matplotlib's.

    Raises:
        UsageError: there is none of this name; the message says the nearest.
    """
    name = style.cmap or ("ink" if style.theme == "light" else "ember")
    if name in palette.PALETTES:
        return ListedColormap(palette.colour_table(name) / 255, name)
    if name in mpl.colormaps:
        return mpl.colormaps[name]
    names = [*palette.PALETTES, *mpl.colormaps]
    near = difflib.get_close_matches(name, names, 3) or [*palette.PALETTES, "viridis", "magma"]
    raise UsageError(
        f"no colour map {name!r}", hint=f"Perhaps {', '.join(near)}? Ours are {', '.join(palette.PALETTES)}."
    )


def new_figure(style: Style, size: tuple[float, float]) -> Figure:
    """An empty figure of so many inches, or of the style's.

    Raises:
        UsageError: it would have too many pixels.
    """
    size = style.size or size
    pixels = size[0] * size[1] * style.dpi**2
    if pixels > _PIXELS:
        inches = f"{size[0]:.0f} × {size[1]:.0f} inches"
        raise UsageError(
            f"a picture of {inches} at {style.dpi} dpi has {pixels / 1e6:.0f} million pixels, at most "
            f"{_PIXELS / 1e6:.0f} million can be drawn",
            hint="Give a smaller `size` or `dpi`, or export .svg or .pdf at a low `dpi`.",
        )
    figure = Figure(figsize=size, dpi=style.dpi, facecolor=style.paper, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    save_figure(figure, buffer, ".png")
    return buffer.getvalue()


@own_settings()
def save_figure(figure: Figure, file: BinaryIO, suffix: str) -> list[str]:
    """Write the figure as ``suffix`` says, with fonts that have its characters; return those that no font has."""
    for text in figure.findobj(Text):
        text.set_fontfamily(_fonts())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(file, format=suffix[1:], facecolor=figure.get_facecolor())
    missing = [re.match(r"Glyph (\d+) ", str(warning.message)) for warning in caught]
    return sorted({chr(int(match[1])) for match in missing if match})


@cache
def _fonts() -> list[str]:
    """The default font, and after it those installed ones that write what it can't."""
    wanted = ("Noto Sans", "Noto Sans CJK", "Noto Sans JP", "WenQuanYi", "Source Han Sans", "PingFang", "Hiragino Sans",
              "Microsoft YaHei", "MS Gothic", "Malgun Gothic", "Arial Unicode MS", "Noto Emoji", "Symbola")  # fmt: skip
    installed = sorted({font.name for font in font_manager.fontManager.ttflist})
    return ["DejaVu Sans", *(name for start in wanted for name in installed if name.startswith(start))]
