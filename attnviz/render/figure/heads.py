"""Draw a grid of all heads, or one head with its words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from attnviz.analysis.text.shown_maps import Grid, HeadMap
from attnviz.analysis.text.units import Reading
from attnviz.record import Observation
from attnviz.render import palette
from attnviz.render.figure.style import Style, colormap, new_figure, own_settings
from attnviz.render.heatmap import head_heatmap, head_name, pool, pool_largest
from attnviz.render.labels import clean, shorten, width

_LABEL = 20
"""The most columns of a word label."""
_NAME = 40
"""The most columns of the number and the first words of a passage."""
_CELL, _NUMBERED_CELL = 0.32, 0.42
"""Inches of a cell with a word label, and of one with its weight written in it."""
_NUMBERED = 16
"""The most words of a map whose cells contain their weights."""
_NAMED = 80
"""The most words of a map whose axes name them."""
_BIG = 10.0
"""Inches of the longer side of a larger map."""
_AROUND = 1.5
"""Inches that axes, title and scale may take of the picture's shorter side."""
_CELLS = 1000
"""The most cells of a map across or down, if there are enough pixels."""
_SHORT = 1.2
"""The fewest inches of a map's shorter side, so that it is visible and its scale readable."""
_GRID_WIDTH = 12.0
"""Inches of the longer side of a grid of all heads."""
_SLIM = 3.0
"""The largest ratio of the sides of a head's place in the grid."""


@own_settings()
def draw_head(observation: Observation, units: Reading, head: HeadMap, style: Style | None = None) -> Figure:
    """Draw one head: rows are queries, columns keys, both labelled with their words if these can be read.

    The axes of a larger map show the numbers of its words. If a map has more words than visible cells, each cell shows
    the largest weight of several.
    """
    style = style or Style()
    whole = head_heatmap(units, head)
    named = max(whole.values.shape) <= _NAMED and not whole.pooled
    room = max(0.5, min(style.size or (_BIG, _BIG)) - _AROUND)
    most = _NAMED if named else min(_CELLS, int(room * style.dpi))
    heatmap = pool(whole, most, most)
    rows, columns = heatmap.values.shape
    most = max(rows, columns)
    side = max(2.4, most * (_CELL if most > _NUMBERED else _NUMBERED_CELL)) if named else _BIG
    across, down = (max(_SHORT, side * count / most) for count in (columns, rows))
    across_names, most_wide = heatmap.columns, _NAME if heatmap.named else _LABEL
    if heatmap.named and not set(head.columns.tolist()) <= set(head.rows.tolist()):
        across_names = tuple(units.keys.names[i] for i in head.columns)  # else the rows say what the numbers are
    left, top = (_margin(labels, most_wide) if named else 0.5 for labels in (heatmap.rows, across_names))
    figure = new_figure(style, (across + left + 1.2, down + top + 0.9))
    axes = figure.add_subplot()
    aspect = (down / rows) / (across / columns)
    image = axes.imshow(
        heatmap.values, cmap=colormap(style), vmin=0, vmax=heatmap.high, interpolation="nearest", aspect=aspect
    )
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    if named:
        _name_ticks(axes, heatmap.rows, across_names, most_wide)
        axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=style.paper, linewidth=0.6)
    elif heatmap.numbers is not None:
        for axis, numbers in zip((axes.yaxis, axes.xaxis), heatmap.numbers, strict=True):
            _number_ticks(axis, numbers)
    if not (named and units.one_text):
        target, source = ("", "") if units.one_text else ("target ", "source ")
        axes.set_xlabel(f"looked at ({source}{units.kind}s)")
        axes.set_ylabel(f"looks ({target}{units.kind}s)")
    if named and most <= _NUMBERED:
        _write_numbers(axes, image, heatmap.values, 10.0**heatmap.exponent)
    written = f"numbers in {heatmap.unit}" if heatmap.exponent and named and most <= _NUMBERED else ""
    note, per_token = "; ".join(filter(None, (heatmap.pooled, written))), " per token" if head.per_token else ""
    _finish(figure, axes, image, style, f"{_short(observation)}  {head_name(head)}", note, per_token)
    return figure


def _number_ticks(axis: Axis, numbers: NDArray[np.intp]) -> None:
    """Set ticks at round unit numbers; ``numbers`` are the units at which the cells begin."""
    wanted = MaxNLocator(nbins=10, integer=True).tick_values(numbers[0], numbers[-1])
    shown = [int(number) for number in wanted if numbers[0] <= number <= numbers[-1]]
    axis.set_ticks([float(place) for place in np.searchsorted(numbers, shown, side="right") - 1])
    axis.set_ticklabels([f"{number:,}" for number in shown])


def _margin(labels: tuple[str, ...], most: int) -> float:
    """Return the inches of the longest label, which has at most ``most`` columns."""
    return 0.1 * max(width(shorten(label, most)) for label in labels)


@own_settings()
def draw_grid(observation: Observation, maps: Grid, style: Style | None = None) -> Figure:
    """Draw all heads as one image: layers down, heads across, with one shared scale.

    It is one mosaic rather than hundreds of axes; a head with more words than its place has pixels is pooled.
    """
    style = style or Style()
    layers, heads = maps.weights.shape[:2]
    tile = _tile((layers, heads, *(maps.size or maps.weights.shape[2:])))
    figure = new_figure(style, (heads * tile[0] + 1.6, layers * tile[1] + 1.1))
    room = figure.get_size_inches() * style.dpi * 0.8 / (heads * tile[0], layers * tile[1])
    tiles, pooled = _pooled(maps, [max(1, int(room.min() * side)) for side in tile])
    n, m = tiles.shape[2:]
    down, across = (size + max(1, round(size / 16)) for size in (n, m))  # including the gaps between heads
    mosaic = np.full((layers, down, heads, across), np.nan)
    mosaic[:, :n, :, :m] = tiles.transpose(0, 2, 1, 3)  # (L, H, n, m) → (L, n, H, m)
    mosaic = mosaic.reshape(layers * down, heads * across)[: n - down, : m - across]
    axes = figure.add_subplot()
    cmap = colormap(style).with_extremes(bad=style.frame)
    high = float(tiles.max()) or 1
    aspect = (tile[1] / n) / (tile[0] / m)
    image = axes.imshow(mosaic, cmap=cmap, vmin=0, vmax=high, interpolation="nearest", aspect=aspect)
    axes.set_xticks(np.arange(heads) * across + (m - 1) / 2, [f"H{i}" for i in range(heads)])
    axes.set_yticks(np.arange(layers) * down + (n - 1) / 2, [f"L{number}" for number in observation.layer_numbers])
    axes.xaxis.tick_top()
    _finish(figure, axes, image, style, f"{_short(observation)}  {layers} layers × {heads} heads", pooled)
    return figure


def _tile(shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the inches across and down of one head's place, for weights (L, H, n, m)."""
    layers, heads, n, m = shape
    ratio = min(max(n / m, 1 / _SLIM), _SLIM)
    across = _GRID_WIDTH / max(heads, layers * ratio)
    return across, across * ratio


def _pooled(maps: Grid, pixels: Sequence[int]) -> tuple[NDArray[np.floating], str]:
    """Return the maps of all heads, (L, H, n, m), pooled to at most as many points as there are ``pixels``, and how."""
    n, m = maps.weights.shape[2:]
    across, down = -(-m // pixels[0]), -(-n // pixels[1])
    joined = down * maps.down, across * maps.across
    if joined == (1, 1):
        return maps.weights, ""
    weights = maps.weights if across == down == 1 else pool_largest(maps.weights, down, across)
    return weights, f"each point is the largest of {joined[0]:,} × {joined[1]:,} weights"


def _short(observation: Observation) -> str:
    """Return the model's name, and which of its maps this is if it has several."""
    kind = "" if observation.kind == "self" else f"  {observation.kind}"
    whose = "  observed" if observation.backend == "observed" else ""
    return clean(observation.model.rpartition("/")[2]) + kind + whose


def _name_ticks(axes: Axes, rows: tuple[str, ...], columns: tuple[str, ...], most: int) -> None:
    across, down = ([shorten(label, most) for label in labels] for labels in (columns, rows))
    axes.set_xticks(range(len(columns)), across, rotation=90, parse_math=False)
    axes.set_yticks(range(len(rows)), down, parse_math=False)


def _write_numbers(axes: Axes, image: AxesImage, values: NDArray[np.floating], times: float) -> None:
    """Write the weights in percent, or ``times`` that if they are small."""
    colours = np.asarray(image.to_rgba(values))[..., :3] * 255
    for (row, column), value in np.ndenumerate(values):
        if times * value >= 0.005:
            ink = "#000000" if palette.is_light(colours[row, column]) else "#ffffff"
            axes.text(column, row, f"{100 * times * value:.0f}", ha="center", va="center", size=7, color=ink)


def _finish(
    figure: Figure, axes: Axes, image: AxesImage, style: Style, title: str, note: str, per_token: str = ""
) -> None:
    """Add the title, the colour scale and the note, and set all colours."""
    if title := style.titled(title):
        figure.suptitle(title, color=style.ink, size=11, x=0.02, ha="left", parse_math=False)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.02)
    bar.set_label(f"attention weight{per_token}", color=style.ink, size=8)
    bar.outline.set_visible(False)
    for part in (axes, bar.ax):
        part.tick_params(which="both", colors=style.ink, length=0, labelsize=8)
        part.xaxis.label.set_color(style.ink)
        part.yaxis.label.set_color(style.ink)
    for spine in axes.spines.values():
        spine.set_color(style.frame)
    if note:
        figure.supxlabel(note, color=style.ink, size=7)
