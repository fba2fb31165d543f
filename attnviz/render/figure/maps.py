"""Draw figures of all heads, of a text or a corpus, as one picture of many small maps."""

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
from attnviz.render.figure import sheet
from attnviz.render.figure.sheet import EDGE, LABEL, SMALL
from attnviz.render.figure.style import Style, colormap, own_settings
from attnviz.render.maps import MetricMap, scale_ends, tick_numbers

_AREA = 3.4
"""Square inches of a map."""
_NARROW = 0.9
"""The fewest inches across a map in a picture of a given width."""
_SLIM = 2.5
"""The largest ratio of the sides of a map."""
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.32, 0.14, 0.22, 0.52
"""Inches around a map: the layers' numbers, a gap, its title, and the heads' numbers with the scale."""
_APART = 0.1
"""Inches between lines of maps, besides what stands around them."""
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
        note: what stands below.
        style: how the picture looks.
    """
    style = style or Style()
    rows, columns = maps[0].values.shape if maps else (1, 1)
    ratio = min(max(rows / columns, 1 / _SLIM), _SLIM)
    count, across = _place(max(1, len(maps)), ratio, style)
    wide = across + _LEFT + _RIGHT
    lines = max(1, math.ceil(len(maps) / count))
    width = style.given_width or count * wide + 2 * EDGE
    around = sheet.frame(style, title, [note], width)
    down = across * ratio
    between = _ABOVE + _BELOW + _APART
    if style.given_height:
        room = style.given_height - around.above - around.below
        down = max(sheet.LEAST, (room + _APART) / lines - between)
    page = sheet.new_sheet(style, around, around.above + lines * (down + between) - _APART + around.below)
    axes = page.figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, page.width), ylim=(0, page.height))
    for place, shown in enumerate(maps):
        line, column = divmod(place, count)
        left = EDGE + column * wide + _LEFT
        upper = page.height - around.above - line * (down + between) - _ABOVE
        box = left, upper - down, left + across, upper
        _draw(axes, shown, box, style)
        _label(axes, shown, box, layers, style)
        _draw_scale(axes, shown, box, style)
    return page.figure


def _place(count: int, ratio: float, style: Style) -> tuple[int, float]:
    """Return how many of ``count`` maps stand side by side, and the inches across one, whose height is ``ratio`` times
    that unless a height is given.

    Without a width the picture fits a screen, and its last line is nearly full; in a given width maps are not
    narrow; in a given size they are as large as can be.
    """
    natural = math.sqrt(_AREA / ratio)
    if style.given_width is None:
        wide, high = natural + _LEFT + _RIGHT, natural * ratio + _ABOVE + _BELOW + _APART

        def badness(columns: int) -> float:
            lines = math.ceil(count / columns)
            return abs(math.log(columns * wide / (lines * high) / _SCREEN)) + 0.5 * (lines * columns - count) / count

        return min(range(1, count + 1), key=badness), natural
    room, height = style.given_width - 2 * EDGE, style.given_height

    def across(columns: int) -> float:
        return max(sheet.LEAST, room / columns - _LEFT - _RIGHT)

    if height is None:
        most = max(1, min(count, int(room / (_NARROW + _LEFT + _RIGHT))))
        even = math.ceil(count / math.ceil(count / most))
        return even, across(even)

    def size(columns: int) -> float:
        return min(across(columns), (height / math.ceil(count / columns) - _ABOVE - _BELOW - _APART) / ratio)

    best = max(range(1, count + 1), key=size)
    return best, across(best)


def _write(axes: Axes, style: Style, left: float, low: float, text: str, size: float = SMALL, **options: Any) -> None:
    axes.text(left, low, text, size=size, color=style.ink, parse_math=False, **options)


def _paint(axes: Axes, shares: NDArray[np.floating], box: Box, colours: Colormap) -> None:
    """Draw ``shares`` of a scale as an image in the ``box``."""
    left, low, right, high = box
    image = AxesImage(axes, cmap=colours, interpolation="nearest", extent=(left, right, low, high), origin="upper")
    image.set_data(np.ma.masked_invalid(shares))
    image.set_clim(0, 1)
    axes.add_image(image)


def _draw(axes: Axes, shown: MetricMap, box: Box, style: Style) -> None:
    """Draw the cells, the lines between them, and the frame."""
    _paint(axes, shown.shares(), box, _colours(shown, style))
    left, low, right, high = box
    rows, columns = shown.values.shape
    if max(rows, columns) <= _SEPARATED:  # lines between more cells would hide them
        xs, ys = np.linspace(left, right, columns + 1)[1:-1], np.linspace(low, high, rows + 1)[1:-1]
        lines = [[(x, low), (x, high)] for x in xs] + [[(left, y), (right, y)] for y in ys]
        width = 0.8 if max(rows, columns) <= _LARGE else 0.4
        axes.add_collection(LineCollection(lines, colors=style.paper, linewidths=width), autolim=False)
    axes.add_patch(Rectangle((left, low), right - left, high - low, fill=False, edgecolor=style.frame, linewidth=0.6))


def _label(axes: Axes, shown: MetricMap, box: Box, layers: Sequence[int], style: Style) -> None:
    """Write the title, and the numbers of layers and heads."""
    left, low, right, high = box
    rows, columns = shown.values.shape
    _write(axes, style, left, high + 0.05, shown.title, LABEL, weight="bold", va="bottom")
    for row in tick_numbers(rows, max(1, min(10, int((high - low) / 0.13)))):
        height = high - (row + 0.5) * (high - low) / rows
        _write(axes, style, left - 0.04, height, f"L{layers[row]}", ha="right", va="center_baseline")
    for column in tick_numbers(columns, max(1, min(10, int((right - left) / 0.24)))):
        place = left + (column + 0.5) * (right - left) / columns
        _write(axes, style, place, low - 0.04, f"H{column}", ha="center", va="top")


def _draw_scale(axes: Axes, shown: MetricMap, box: Box, style: Style) -> None:
    left, low, right, _ = box
    _paint(axes, np.linspace(0, 1, 256)[None], (left, low - 0.29, right, low - 0.21), _colours(shown, style))
    ends = scale_ends(shown)
    unit = "" if shown.metric.unit == "share" else shown.metric.unit
    for place, text, side in ((left, ends[0], "left"), ((left + right) / 2, unit, "center"), (right, ends[1], "right")):
        _write(axes, style, place, low - 0.32, text, ha=side, va="top")


def _colours(shown: MetricMap, style: Style) -> Colormap:
    name = "ink" if style.theme == "light" else "ember"
    one_way = colormap(style) if not shown.two_sided else ListedColormap(palette.two_sided_table(name) / 255, name)
    return one_way.with_extremes(bad=style.frame)
