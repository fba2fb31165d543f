"""All figures of all heads over a corpus, as one picture of many small maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure

from attnviz.render import palette
from attnviz.render.figure.style import Style, colormap, new_figure
from attnviz.render.labels import clean
from attnviz.render.maps import Map, scale_ends, some

_AREA = 4.2
"""Square inches of a map."""
_SLIM = 2.5
"""How much longer than wide, or wider than long, a map may be."""
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.46, 0.14, 0.34, 0.66
"""Inches around a map: the layers' numbers, a gap, its title, and the heads' numbers with the scale."""
_HEAD, _FOOT = 0.62, 0.12
"""Inches above and below all maps."""
_SCREEN = 1.4
"""How much wider than high the picture should be."""


def draw_maps(maps: Sequence[Map], layers: Sequence[int], title: str, note: str, style: Style | None = None) -> Figure:
    """The ``maps`` (L, H) side by side, layers down and heads across, each with its scale; ``layers`` are numbers."""
    style = style or Style()
    rows, columns = maps[0].values.shape if maps else (1, 1)
    ratio = min(max(rows / columns, 1 / _SLIM), _SLIM)
    across, down = math.sqrt(_AREA / ratio), math.sqrt(_AREA * ratio)
    wide, high = across + _LEFT + _RIGHT, down + _ABOVE + _BELOW
    count = _columns(max(1, len(maps)), wide, high)
    lines = max(1, math.ceil(len(maps) / count))
    size = count * wide + 0.2, lines * high + _HEAD + _FOOT
    figure = new_figure(style, size)
    figure.set_layout_engine("none")
    _titles(figure, title, note, style, size[1])
    for place, shown in enumerate(maps):
        line, column = divmod(place, count)
        left, top = 0.1 + column * wide + _LEFT, size[1] - _HEAD - line * high - _ABOVE
        axes = figure.add_axes(_part(size, left, top - down, across, down))
        bar = figure.add_axes(_part(size, left, top - down - 0.42, across, 0.08))
        _draw(axes, shown, layers, style)
        _draw_scale(bar, shown, style)
    return figure


def _columns(count: int, wide: float, high: float) -> int:
    """How many maps stand side by side so that the picture fits a screen, and its last line is not nearly empty."""

    def badness(columns: int) -> float:
        lines = math.ceil(count / columns)
        return abs(math.log(columns * wide / (lines * high) / _SCREEN)) + 0.5 * (lines * columns - count) / max(
            count, 1
        )

    return min(range(1, count + 1), key=badness)


def _part(
    size: tuple[float, float], left: float, low: float, wide: float, high: float
) -> tuple[float, float, float, float]:
    """Inches as shares of the figure."""
    return left / size[0], low / size[1], wide / size[0], high / size[1]


def _titles(figure: Figure, title: str, note: str, style: Style, high: float) -> None:
    shown = clean(style.title) if style.title is not None else clean(title)
    options: dict[str, Any] = {"color": style.ink, "ha": "left", "va": "top", "parse_math": False}
    figure.text(0.012, 1 - 0.12 / high, shown, size=13, weight="bold", **options)
    figure.text(0.012, 1 - 0.38 / high, clean(note), size=8.5, alpha=0.75, **options)


def _draw(axes: Axes, shown: Map, layers: Sequence[int], style: Style) -> None:
    rows, columns = shown.values.shape
    axes.imshow(shown.shares(), cmap=_colours(shown, style), vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_title(shown.title, loc="left", size=10, weight="bold", color=style.ink, pad=4)
    down, across = some(rows), some(columns)
    axes.set_yticks(down, [f"L{layers[i]}" for i in down])
    axes.set_xticks(across, [f"H{i}" for i in across])
    axes.tick_params(colors=style.ink, length=0, labelsize=7, pad=2)
    if max(rows, columns) <= 40:  # lines between more cells would be all there is
        axes.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
        axes.grid(which="minor", color=style.paper, linewidth=0.8 if max(rows, columns) <= 16 else 0.4)
        axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set(color=style.frame, linewidth=0.6)


def _draw_scale(axes: Axes, shown: Map, style: Style) -> None:
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=_colours(shown, style), aspect="auto")
    axes.set_axis_off()
    low, high = scale_ends(shown)
    unit = "" if shown.metric.unit == "share" else shown.metric.unit
    for place, text, side in ((0.0, low, "left"), (0.5, unit, "center"), (1.0, high, "right")):
        axes.text(place, -0.5, text, size=7, color=style.ink, ha=side, va="top", transform=axes.transAxes)


def _colours(shown: Map, style: Style) -> Colormap:
    name = "ink" if style.theme == "light" else "ember"
    one_way = colormap(style) if not shown.two_sided else ListedColormap(palette.two_sided(name) / 255, name)
    return one_way.with_extremes(bad=style.frame)
