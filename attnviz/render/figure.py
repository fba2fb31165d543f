"""Pictures: a grid of all heads, or one head with its words, as matplotlib figures."""

from __future__ import annotations

import difflib
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, Literal

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from numpy.typing import NDArray

from attnviz.analysis.summary import HeadMap, shown_units
from attnviz.analysis.units import Reading, Units
from attnviz.errors import UsageError
from attnviz.record import Attention, Survey
from attnviz.render import palette
from attnviz.render.heatmap import head_heatmap, head_name, largest, pool
from attnviz.render.labels import clean, shorten, width

Theme = Literal["light", "dark"]

_LABEL = 20
"""The most columns of a word label."""
_CELL, _NUMBERED_CELL = 0.32, 0.42
"""Inches of a cell with a word label, and of one with its weight in it."""
_NUMBERED = 16
"""The most words of a map in whose cells the weights are written."""
_SHORT = 1.2
"""The fewest inches of a map's shorter side: no map is a sliver, and the scale beside it can be read."""
_PIXELS = 200_000_000
"""The most pixels of a picture: beyond, drawing takes more memory than most machines have."""
_GRID_WIDTH = 12.0
"""Inches of the longer side of a grid of all heads."""
_SLIM = 3.0
"""How much longer than wide, or wider than long, a head's place in the grid may be."""


@dataclass(frozen=True)
class Style:
    """How a picture looks. ``size`` is (width, height) in inches; None leaves a value to the picture."""

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


def colormap(style: Style) -> Colormap:
    """The style's colour map: one of ours, or any of matplotlib's.

    Raises:
        UsageError: there is none of this name; the message says the nearest.
    """
    name = style.cmap or ("ink" if style.theme == "light" else "ember")
    if name in palette.PALETTES:
        return ListedColormap(palette.table(name) / 255, name)
    if name in mpl.colormaps:
        return mpl.colormaps[name]
    names = [*palette.PALETTES, *mpl.colormaps]
    near = difflib.get_close_matches(name, names, 3) or [*palette.PALETTES, "viridis", "magma"]
    raise UsageError(
        f"no colour map {name!r}", hint=f"Perhaps {', '.join(near)}? Ours are {', '.join(palette.PALETTES)}."
    )


def draw_head(attention: Attention | Survey, units: Reading, head: HeadMap, style: Style | None = None) -> Figure:
    """One head: rows look, columns are looked at, both labelled with their words, as far as they can be read."""
    style = style or Style()
    heatmap = pool(head_heatmap(units, head), 400, 400)
    rows, columns = heatmap.values.shape
    most = max(rows, columns)
    named = most <= 80
    side = max(2.4, most * (_CELL if most > _NUMBERED else _NUMBERED_CELL)) if named else 10.0
    across, down = (max(_SHORT, side * count / most) for count in (columns, rows))
    left, top = (_margin(labels) if named else 0.5 for labels in (heatmap.rows, heatmap.columns))
    figure = _figure(style, (across + left + 1.2, down + top + 0.9))
    axes = figure.add_subplot()
    aspect = (down / rows) / (across / columns)
    image = axes.imshow(
        heatmap.values, cmap=colormap(style), vmin=0, vmax=heatmap.high, interpolation="nearest", aspect=aspect
    )
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    if named:
        _name_ticks(axes, heatmap.rows, heatmap.columns)
        axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=style.paper, linewidth=0.6)
    if not (named and units.one_text):
        target, source = ("", "") if units.one_text else ("target ", "source ")
        axes.set_xlabel(f"looked at ({source}{units.kind}s)")
        axes.set_ylabel(f"looks ({target}{units.kind}s)")
    if most <= _NUMBERED:
        _write_numbers(axes, image, heatmap.values)
    _finish(figure, axes, image, style, f"{_short(attention)}  {head_name(head)}", heatmap.pooled)
    return figure


def _margin(labels: tuple[str, ...]) -> float:
    """The inches that the longest of the labels takes."""
    return 0.1 * max(width(shorten(label, _LABEL)) for label in labels)


def draw_grid(attention: Attention, units: Units, style: Style | None = None, *, special: bool = False) -> Figure:
    """All heads as one image: layers down, heads across, one shared scale.

    Drawn as one mosaic, not as hundreds of axes; a head of more words than its place has pixels is pooled.
    """
    style = style or Style()
    layers, heads = units.weights.shape[:2]
    rows, columns = (shown_units(axis, special=special) for axis in (units.queries, units.keys))
    weights = units.weights[:, :, rows[:, None], columns]
    tile = _tile(weights.shape)
    figure = _figure(style, (heads * tile[0] + 1.6, layers * tile[1] + 1.1))
    room = figure.get_size_inches() * style.dpi * 0.8 / (heads * tile[0], layers * tile[1])
    tiles, pooled = _pooled(weights, [max(1, int(room.min() * side)) for side in tile])
    n, m = tiles.shape[2:]
    down, across = (size + max(1, round(size / 16)) for size in (n, m))  # with the gaps between heads
    mosaic = np.full((layers, down, heads, across), np.nan)
    mosaic[:, :n, :, :m] = tiles.transpose(0, 2, 1, 3)  # (L, H, n, m) → (L, n, H, m)
    mosaic = mosaic.reshape(layers * down, heads * across)[: n - down, : m - across]
    axes = figure.add_subplot()
    cmap = colormap(style).with_extremes(bad=style.frame)
    high = float(tiles.max()) or 1
    aspect = (tile[1] / n) / (tile[0] / m)
    image = axes.imshow(mosaic, cmap=cmap, vmin=0, vmax=high, interpolation="nearest", aspect=aspect)
    axes.set_xticks(np.arange(heads) * across + (m - 1) / 2, [f"H{i}" for i in range(heads)])
    axes.set_yticks(np.arange(layers) * down + (n - 1) / 2, [f"L{number}" for number in units.layers])
    axes.xaxis.tick_top()
    _finish(figure, axes, image, style, f"{_short(attention)}  {layers} layers × {heads} heads", pooled)
    return figure


def _tile(shape: tuple[int, ...]) -> tuple[float, float]:
    """The inches across and down of one head's place, for weights (L, H, n, m); none becomes a sliver."""
    layers, heads, n, m = shape
    ratio = min(max(n / m, 1 / _SLIM), _SLIM)
    across = _GRID_WIDTH / max(heads, layers * ratio)
    return across, across * ratio


def _pooled(weights: NDArray[np.floating], pixels: Sequence[int]) -> tuple[NDArray[np.floating], str]:
    """The maps of all heads, (L, H, n, m), in at most as many points across and down as there are ``pixels``."""
    n, m = weights.shape[2:]
    across, down = -(-m // pixels[0]), -(-n // pixels[1])
    if across == down == 1:
        return weights, ""
    return largest(weights, down, across), f"each point is the largest of {down} × {across} weights"


def _figure(style: Style, size: tuple[float, float]) -> Figure:
    size = style.size or size
    pixels = size[0] * size[1] * style.dpi**2
    if pixels > _PIXELS:
        inches = f"{size[0]:.0f} × {size[1]:.0f} inches"
        raise UsageError(
            f"a picture of {inches} at {style.dpi} dpi has {pixels / 1e6:.0f} million pixels, at most "
            f"{_PIXELS / 1e6:.0f} million can be drawn",
            hint="Give a smaller --size or --dpi, or export .svg or .pdf at a low --dpi.",
        )
    figure = Figure(figsize=size, dpi=style.dpi, facecolor=style.paper, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _short(attention: Attention | Survey) -> str:
    """The model, and which of its maps where it has several."""
    kind = "" if attention.kind == "self" else f"  {attention.kind}"
    return clean(attention.model.rpartition("/")[2]) + kind


def _name_ticks(axes: Axes, rows: tuple[str, ...], columns: tuple[str, ...]) -> None:
    across, down = ([shorten(label, _LABEL) for label in labels] for labels in (columns, rows))
    axes.set_xticks(range(len(columns)), across, rotation=90, parse_math=False)
    axes.set_yticks(range(len(rows)), down, parse_math=False)


def _write_numbers(axes: Axes, image: AxesImage, values: NDArray[np.floating]) -> None:
    colours = np.asarray(image.to_rgba(values))[..., :3] * 255
    for (row, column), value in np.ndenumerate(values):
        if value >= 0.005:
            ink = "#000000" if palette.is_light(colours[row, column]) else "#ffffff"
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", size=7, color=ink)


def _finish(figure: Figure, axes: Axes, image: AxesImage, style: Style, title: str, note: str) -> None:
    """Title, scale, note and colours."""
    title = clean(style.title) if style.title is not None else title
    figure.suptitle(title, color=style.ink, size=11, x=0.02, ha="left", parse_math=False)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.02)
    bar.set_label("attention weight", color=style.ink, size=8)
    bar.outline.set_visible(False)
    for part in (axes, bar.ax):
        part.tick_params(which="both", colors=style.ink, length=0, labelsize=8)
        part.xaxis.label.set_color(style.ink)
        part.yaxis.label.set_color(style.ink)
    for spine in axes.spines.values():
        spine.set_color(style.frame)
    if note:
        figure.supxlabel(note, color=style.ink, size=7)


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    save(figure, buffer, ".png")
    return buffer.getvalue()


def save(figure: Figure, file: BinaryIO, suffix: str) -> list[str]:
    """Write the figure as ``suffix`` says, with fonts that have its characters; return those that no font has."""
    for text in figure.findobj(Text):
        text.set_fontfamily(_fonts())
    options = mpl.rc_context({"svg.fonttype": "path", "pdf.fonttype": 42})
    with options, warnings.catch_warnings(record=True) as caught:
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
