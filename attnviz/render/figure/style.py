"""The look of pictures, and saving them."""

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
"""The most pixels of a picture: drawing more takes more memory than most machines have."""


@dataclass(frozen=True)
class Style:
    """The look of a picture.

    Args:
        theme: the colours of text and background.
        cmap: a colour map of attnviz or matplotlib; None for the theme's.
        size: width and height in inches; None for the picture's own.
        dpi: pixels per inch.
        title: a title instead of the usual one; without a letter there is none.
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
        """Return the title: the ``usual`` one unless another is given; empty for none."""
        if self.title is None:
            return clean(usual)
        return clean(self.title) if self.title.strip() else ""


_DRAWING = threading.RLock()


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Use matplotlib's default settings inside the block, so that the user's do not change a picture.

    It is also a decorator. The settings belong to the whole process, so only one thread draws at a time.
    """
    plain: dict[Any, Any] = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
    with _DRAWING, mpl.rc_context(plain | {"svg.fonttype": "path", "pdf.fonttype": 42}):
        yield


def colormap(style: Style) -> Colormap:
    """Return the style's colour map, one of attnviz's or matplotlib's.

    Raises:
        UsageError: there is none of this name; the hint has the nearest names.
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
    """Return an empty figure of this size in inches, or of the style's.

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
    """Return the figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    save_figure(figure, buffer, ".png")
    return buffer.getvalue()


@own_settings()
def save_figure(figure: Figure, file: BinaryIO, suffix: str) -> list[str]:
    """Write the figure in the format of ``suffix``, with fonts for its characters; return the characters that no font
    has.
    """
    fonts = _fonts_for(_characters(figure))
    for text in figure.findobj(Text):
        text.set_fontfamily(fonts)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if suffix == ".png":
            canvas: Any = FigureCanvasAgg(figure)
            canvas.print_png(file)  # ``savefig`` would draw all of it once before
        else:
            figure.savefig(file, format=suffix[1:], facecolor=figure.get_facecolor())
    missing = [re.match(r"Glyph (\d+) ", str(warning.message)) for warning in caught]
    return sorted({chr(int(match[1])) for match in missing if match})


def _characters(figure: Figure) -> set[str]:
    """Return what the texts of the figure are made of; labels of ticks are written when it is drawn."""
    axes = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    labels = [label for axis in axes for label in getattr(axis.get_major_formatter(), "seq", ())]
    return set("".join([*labels, *(text.get_text() for text in figure.findobj(Text))]))


def _fonts_for(characters: set[str]) -> list[str]:
    """Return the default font and, of the others, each that is the first to have one of the ``characters``.

    matplotlib looks up every font of the list for every text that it draws.
    """
    default, *others = _fonts()
    found, missing = [default], characters - _letters(default) - {"\n"}
    for name in others:
        if missing & _letters(name):
            found.append(name)
            missing -= _letters(name)
        if not missing:
            break
    return found


@cache
def _letters(font: str) -> frozenset[str]:
    """Return the characters that a font has."""
    path = font_manager.findfont(font_manager.FontProperties(family=font))
    return frozenset(map(chr, font_manager.get_font(path).get_charmap()))


@cache
def _fonts() -> list[str]:
    """Return the default font, followed by installed fonts that have characters it lacks."""
    wanted = ("Noto Sans", "Noto Sans CJK", "Noto Sans JP", "WenQuanYi", "Source Han Sans", "PingFang", "Hiragino Sans",
              "Microsoft YaHei", "MS Gothic", "Malgun Gothic", "Arial Unicode MS", "Noto Emoji", "Symbola")  # fmt: skip
    installed = sorted({font.name for font in font_manager.fontManager.ttflist})
    return ["DejaVu Sans", *(name for start in wanted for name in installed if name.startswith(start))]
