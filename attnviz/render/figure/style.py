"""The look of pictures."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure

from attnviz.errors import UsageError, did_you_mean, short
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
        width: the width in inches, such as a column of a paper; the height follows from what is drawn.
        vmax: the weight at which the scale ends, so that pictures can be compared; None for the largest shown.
        log: whether the scale is logarithmic.
        own_scale: whether each head has a scale of its own.
        annotate: whether cells contain their weights; None if there is room for them.
    """

    theme: Theme = "light"
    cmap: str | None = None
    size: tuple[float, float] | None = None
    dpi: int = 200
    title: str | None = None
    width: float | None = None
    vmax: float | None = None
    log: bool = False
    own_scale: bool = False
    annotate: bool | None = None

    @property
    def given_width(self) -> float | None:
        """The width in inches, if one is given."""
        return self.size[0] if self.size else self.width

    @property
    def given_height(self) -> float | None:
        """The height in inches, if one is given."""
        return self.size[1] if self.size else None

    @property
    def ink(self) -> str:
        """The colour of text and lines."""
        return "#1a1a24" if self.theme == "light" else "#e8e8ee"

    @property
    def paper(self) -> str:
        """The colour behind everything."""
        return "#ffffff" if self.theme == "light" else "#0c0c14"

    @property
    def soft(self) -> str:
        """The colour of what is said by the way."""
        return "#62626e" if self.theme == "light" else "#a0a0b4"

    @property
    def accent(self) -> str:
        """The colour of what is pointed out; it is not among those of the maps."""
        return "#d9480f" if self.theme == "light" else "#4fd1e8"

    @property
    def frame(self) -> str:
        """The colour of the lines between heads and around maps."""
        return "#c4c4d0" if self.theme == "light" else "#45455c"

    def titled(self, usual: str) -> str:
        """Return the title: the ``usual`` one unless another is given; empty for none."""
        if self.title is None:
            return clean(usual)
        return clean(self.title) if self.title.strip() else ""


def style_of(**given: Any) -> Style:
    """Return the style with these fields.

    Raises:
        UsageError: there is no such field, or it can't have this value.
    """
    known = [field.name for field in fields(Style)]
    for name in given:
        if name not in known:
            meant = did_you_mean(name, known)
            raise UsageError(f"a picture has no {short(name)}", hint=f"{meant}There are {', '.join(known)}.")
    style = Style(**given)
    if style.theme not in get_args(Theme):
        raise UsageError(f"there is no theme {style.theme!r}", hint="Themes are light and dark.")
    for name, value in (("width", style.width), ("vmax", style.vmax), ("dpi", style.dpi)):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"`{name}` is {value!r}, expected a number above 0")
    return style


_DRAWING = threading.RLock()
_SETTINGS: dict[Any, Any] = {
    "text.hinting": "none",  # letters moved to whole pixels make lines up to a tenth longer at some resolutions
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "attnviz",  # the same names in each run
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "image.composite_image": False,  # it would draw several images of one pair of axes even when they are invisible
}


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Use matplotlib's default settings inside the block, so that the user's do not change a picture.

    It is also a decorator. The settings belong to the whole process, so only one thread draws at a time.
    """
    plain: dict[Any, Any] = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
    with _DRAWING, mpl.rc_context(plain | _SETTINGS):
        yield


def colormap(style: Style) -> Colormap:
    """Return the style's colour map, one of attnviz's or matplotlib's.

    Raises:
        UsageError: there is none of this name; the hint has the nearest.
    """
    name = style.cmap or ("ink" if style.theme == "light" else "ember")
    if name in palette.PALETTES:
        return ListedColormap(palette.colour_table(name) / 255, name)
    if name in mpl.colormaps:
        return mpl.colormaps[name]
    meant = did_you_mean(name, (*palette.PALETTES, *mpl.colormaps))
    ours = f"Ours are {', '.join(palette.PALETTES)}; matplotlib has viridis, magma and others."
    raise UsageError(f"no colour map {short(name)}", hint=meant + ours)


class Picture(Figure):
    """A figure that a notebook shows, also where pyplot, which teaches it to, was not imported."""

    def _repr_png_(self) -> bytes:
        from attnviz.render.figure.saving import to_png

        return to_png(self)


def new_figure(style: Style, size: tuple[float, float]) -> Figure:
    """Return an empty figure of this size in inches.

    Raises:
        UsageError: it would have too many pixels.
    """
    pixels = size[0] * size[1] * style.dpi**2
    if pixels > _PIXELS:
        inches = f"{size[0]:.0f} × {size[1]:.0f} inches"
        raise UsageError(
            f"a picture of {inches} at {style.dpi} dpi has {pixels / 1e6:.0f} million pixels, at most "
            f"{_PIXELS / 1e6:.0f} million can be drawn",
            hint="Give a smaller `size` or `dpi`, or export .svg or .pdf at a low `dpi`.",
        )
    figure = Picture(figsize=size, dpi=style.dpi, facecolor=style.paper)
    FigureCanvasAgg(figure)
    return figure
