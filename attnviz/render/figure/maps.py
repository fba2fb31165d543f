"""Draw all figures of all heads over a corpus as one picture of many small maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from attnviz.render import palette
from attnviz.render.figure.fonts import wrap
from attnviz.render.figure.style import Style, colormap, new_figure, own_settings
from attnviz.render.labels import clean
from attnviz.render.maps import MetricMap, scale_ends, tick_numbers

_AREA = 4.2
"""Square inches of a map."""
_NARROW = 0.9
"""The fewest inches across a map in a picture of a given width."""
_SLIM = 2.5
"""The largest ratio of the sides of a map."""
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.46, 0.14, 0.34, 0.66
"""Inches around a map: the layers' numbers, a gap, its title, and the heads' numbers with the scale."""
_HEAD, _FOOT, _SIDE = 0.62, 0.12, 0.1
"""Inches above all maps, below them, and to their left and right."""
_SCREEN = 1.4
"""The ratio of the picture's width to its height."""
_SEPARATED, _LARGE = 40, 16
"""The most layers or heads with lines between the cells, and with wide ones."""

Box = tuple[float, float, float, float]
"""A rectangle in inches from the left and the bottom of the picture: left, bottom, right, top."""


@own_settings()
def draw_maps(
    maps: Sequence[MetricMap], layers: Sequence[int], title: str, note: str, style: Style | None = None
) -> Figure:
    """Draw the ``maps`` (L, H) side by side, layers down and heads across, each with its own scale.

    They are drawn on one pair of axes that measures inches: separate axes for every map and scale take seconds.

    Args:
        maps: the maps.
        layers: the layers' numbers.
        title: the title.
        note: a line below the title.
        style: how the picture looks.
    """
    style = style or Style()
    rows, columns = maps[0].values.shape if maps else (1, 1)
    ratio = min(max(rows / columns, 1 / _SLIM), _SLIM)
    across, down = math.sqrt(_AREA / ratio), math.sqrt(_AREA * ratio)
    wide, high = across + _LEFT + _RIGHT, down + _ABOVE + _BELOW
    count = _columns(max(1, len(maps)), wide, high)
    if style.width and not style.size:
        room = style.width - 2 * _SIDE
        count = max(1, min(len(maps), int(room / (_NARROW + _LEFT + _RIGHT))))
        across = max(0.2, room / count - _LEFT - _RIGHT)
        wide, down = room / count, across * ratio
        high = down + _ABOVE + _BELOW
    lines = max(1, math.ceil(len(maps) / count))
    title_size, note_size = (9.0, 7.0) if style.width else (13.0, 8.5)
    notes = wrap(clean(note), note_size, count * wide) if note else []
    head = _HEAD + 0.14 * max(0, len(notes) - 1)
    figure, sheet = _sheet(style, count * wide + 2 * _SIDE, lines * high + head + _FOOT)
    top = sheet.get_ylim()[1]
    _write(sheet, style, _SIDE, top - 0.12, style.titled(title), size=title_size, weight="bold", va="top")
    _write(sheet, style, _SIDE, top - 0.38, "\n".join(notes), size=note_size, alpha=0.75, va="top")
    for place, shown in enumerate(maps):
        line, column = divmod(place, count)
        left, upper = _SIDE + column * wide + _LEFT, top - head - line * high - _ABOVE
        box = left, upper - down, left + across, upper
        _draw(sheet, shown, box, style)
        _label(sheet, shown, box, layers, style)
        _draw_scale(sheet, shown, box, style)
    return figure


def _columns(count: int, wide: float, high: float) -> int:
    """Return how many maps to put side by side so that the picture fits a screen and its last row is nearly full."""

    def badness(columns: int) -> float:
        lines = math.ceil(count / columns)
        return abs(math.log(columns * wide / (lines * high) / _SCREEN)) + 0.5 * (lines * columns - count) / count

    return min(range(1, count + 1), key=badness)


def _sheet(style: Style, wide: float, high: float) -> tuple[Figure, Axes]:
    """Return a figure of this size in inches, and axes over all of it that measure inches; a given size
    stretches it.
    """
    figure = new_figure(style, style.size or (wide, high))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, wide), ylim=(0, high))
    return figure, axes


def _write(sheet: Axes, style: Style, left: float, low: float, text: str, **options: Any) -> None:
    sheet.text(left, low, text, color=style.ink, parse_math=False, **options)


def _paint(sheet: Axes, shares: NDArray[np.floating], box: Box, colours: Colormap) -> None:
    """Draw ``shares`` of a scale as an image in the ``box``."""
    left, low, right, high = box
    image = AxesImage(sheet, cmap=colours, interpolation="nearest", extent=(left, right, low, high), origin="upper")
    image.set_data(np.ma.masked_invalid(shares))
    image.set_clim(0, 1)
    sheet.add_image(image)


def _draw(sheet: Axes, shown: MetricMap, box: Box, style: Style) -> None:
    """Draw the cells, the lines between them, and the frame."""
    _paint(sheet, shown.shares(), box, _colours(shown, style))
    left, low, right, high = box
    rows, columns = shown.values.shape
    if max(rows, columns) <= _SEPARATED:  # lines between more cells would hide them
        xs, ys = np.linspace(left, right, columns + 1)[1:-1], np.linspace(low, high, rows + 1)[1:-1]
        lines = [[(x, low), (x, high)] for x in xs] + [[(left, y), (right, y)] for y in ys]
        width = 0.8 if max(rows, columns) <= _LARGE else 0.4
        sheet.add_collection(LineCollection(lines, colors=style.paper, linewidths=width), autolim=False)
    sheet.add_patch(Rectangle((left, low), right - left, high - low, fill=False, edgecolor=style.frame, linewidth=0.6))


def _label(sheet: Axes, shown: MetricMap, box: Box, layers: Sequence[int], style: Style) -> None:
    """Write the title, and the numbers of layers and heads."""
    left, low, right, high = box
    rows, columns = shown.values.shape
    _write(sheet, style, left, high + 0.06, shown.title, size=10, weight="bold", va="bottom")
    for row in tick_numbers(rows, max(1, min(10, int((high - low) / 0.13)))):
        height = high - (row + 0.5) * (high - low) / rows
        _write(sheet, style, left - 0.04, height, f"L{layers[row]}", size=7, ha="right", va="center_baseline")
    for column in tick_numbers(columns, max(1, min(10, int((right - left) / 0.24)))):
        place = left + (column + 0.5) * (right - left) / columns
        _write(sheet, style, place, low - 0.04, f"H{column}", size=7, ha="center", va="top")


def _draw_scale(sheet: Axes, shown: MetricMap, box: Box, style: Style) -> None:
    left, low, right, _ = box
    _paint(sheet, np.linspace(0, 1, 256)[None], (left, low - 0.36, right, low - 0.28), _colours(shown, style))
    ends = scale_ends(shown)
    unit = "" if shown.metric.unit == "share" else shown.metric.unit
    for place, text, side in ((left, ends[0], "left"), ((left + right) / 2, unit, "center"), (right, ends[1], "right")):
        _write(sheet, style, place, low - 0.4, text, size=7, ha=side, va="top")


def _colours(shown: MetricMap, style: Style) -> Colormap:
    name = "ink" if style.theme == "light" else "ember"
    one_way = colormap(style) if not shown.two_sided else ListedColormap(palette.two_sided_table(name) / 255, name)
    return one_way.with_extremes(bad=style.frame)
