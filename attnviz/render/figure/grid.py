"""Draw all heads as one picture, with the means of each layer and each head in its margins."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from attnviz.analysis.text.shown_maps import Grid, hidden_shares
from attnviz.errors import count_of
from attnviz.record import Observation
from attnviz.render.figure import sheet
from attnviz.render.figure.captions import bar_label, hidden_note, measure_note, picture_name, scale_note
from attnviz.render.figure.fonts import text_width
from attnviz.render.figure.sheet import BAR, EDGE, LABEL, Scale
from attnviz.render.figure.style import Style, own_settings
from attnviz.render.heatmap import pool_largest

_LONG = 10.0
"""Inches of the longer side of a picture."""
_SLIM = 3.0
"""The largest ratio of the sides of a head's place in the grid."""
_UPRIGHT = 1.1
"""The fewest inches of a grid beside which the scale stands; it lies below lower ones."""
_OVER = 0.18
"""Inches of the names of the heads."""
Places = Collection[tuple[int, int]]


@own_settings()
def draw_grid(observation: Observation, maps: Grid, style: Style | None = None, framed: Places = ()) -> Figure:
    """Draw all heads as one image: layers down, heads across, with one shared scale unless the style says otherwise.

    It is one mosaic rather than hundreds of axes; a head with more words than its place has pixels is pooled. The last
    column and the last row are the means of each layer's heads and of each head over the layers.

    Args:
        observation: what was observed.
        maps: the maps.
        style: how the picture looks.
        framed: layer and head of those that are pointed out.

    Raises:
        UsageError: the picture would have too many pixels.
    """
    style = style or Style()
    layers, heads = maps.weights.shape[:2]
    numbers = maps.layers or observation.layer_numbers
    columns, lines = heads + (heads > 1), layers + (layers > 1)  # with the means
    names = [f"L{number}" for number in numbers] + ["mean"] * (layers > 1)
    left = max(text_width(name, LABEL) for name in names) + 0.06
    tile, high, upright = _tile(maps, (lines, columns), left, style)
    width = style.given_width or 2 * EDGE + left + sheet.bar_room() * upright + columns * tile
    tiles, pooled = _pooled(maps, min(tile, high / lines / _ratio(maps)) * style.dpi)
    notes = [note for note in (pooled, *_notes(observation, maps, framed, style)) if note]
    size = count_of(layers, "layer") + f" × {count_of(heads, 'head')}" * (not observation.measure.by_layer)
    around = sheet.frame(style, f"{picture_name(observation)}  {size}", notes, width)
    fixed = around.above + _OVER + around.below + (0.04 if upright else 0.5)
    high = max(sheet.LEAST, style.given_height - fixed) if style.given_height else high
    page = sheet.new_sheet(style, around, fixed + high)
    top, across = around.above + _OVER, columns * tile
    axes = page.axes(EDGE + left, top, across, high)
    shown = _own(tiles) if style.own_scale else tiles
    largest = float(shown.max())
    norm = sheet.norm_of(replace(style, vmax=None) if style.own_scale else style, largest)
    scale = Scale(norm, sheet.colours_of(style), style.own_scale or observation.measure.share)
    _draw(axes, _with_means(shown), scale, style)
    _label(axes, names, maps.heads or range(heads), _with_means(tiles).shape, (tile, high / lines), style)
    known = {number: place for place, number in enumerate(maps.heads or range(heads))}
    places = [(numbers.index(layer), known[head]) for layer, head in framed if layer in numbers and head in known]
    _point_out(axes, places, tiles.shape[2:], style)
    label = "share of the head’s largest (%)" if style.own_scale else bar_label(observation.measure)
    bar = (
        (EDGE + left + across + 0.12, top, BAR, high)
        if upright
        else (EDGE + left, top + high + 0.08, min(2.0, across), BAR)
    )
    sheet.draw_bar(page, scale, label, bar, largest)
    return page.figure


def _tile(maps: Grid, shape: tuple[int, int], left: float, style: Style) -> tuple[float, float, bool]:
    """Return the inches of a head's place across, those of all lines down, and whether the scale stands beside them."""
    lines, columns = shape
    ratio = _ratio(maps)
    tile = high = 0.0
    for upright in (True, False):
        room = sheet.bar_room() if upright else 0.1
        tile = (_LONG - left - room) / max(columns, lines * ratio)
        if style.given_width:
            tile = max(sheet.LEAST, style.given_width - 2 * EDGE - left - room) / columns
        high = lines * tile * ratio if style.given_height is None else max(sheet.LEAST, style.given_height - 0.8)
        if upright and high >= _UPRIGHT:
            break
    return tile, high, upright


def _ratio(maps: Grid) -> float:
    """Return the height of a head's place by its width."""
    n, m = maps.size or maps.weights.shape[2:]
    return float(min(max(n / m, 1 / _SLIM), _SLIM))


def _own(tiles: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``tiles`` (L, H, n, m), each divided by its largest value."""
    most = tiles.max((2, 3), keepdims=True)
    return np.asarray(tiles / np.where(most > 0, most, 1))


def _with_means(tiles: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``tiles`` (L, H, n, m) followed by the means of each layer and of each head, if there are several."""
    if tiles.shape[1] > 1:
        tiles = np.concatenate((tiles, tiles.mean(1, keepdims=True)), 1)
    if tiles.shape[0] > 1:
        tiles = np.concatenate((tiles, tiles.mean(0, keepdims=True)), 0)
    return tiles


def _gap(cells: int) -> int:
    """Return the cells between two maps of so many."""
    return max(1, round(cells / 16))


def _draw(axes: Axes, tiles: NDArray[np.floating], scale: Scale, style: Style) -> None:
    """Draw ``tiles`` (L, H, n, m) as one image, each with a thin frame."""
    layers, heads, n, m = tiles.shape
    down, across = n + _gap(n), m + _gap(m)
    mosaic = np.full((layers, down, heads, across), np.nan)
    mosaic[:, :n, :, :m] = tiles.transpose(0, 2, 1, 3)  # (L, H, n, m) → (L, n, H, m)
    mosaic = mosaic.reshape(layers * down, heads * across)[: -_gap(n), : -_gap(m)]
    axes.imshow(
        np.ma.masked_invalid(mosaic), cmap=scale.colours, norm=scale.norm, interpolation="nearest", aspect="auto",
        origin="upper",
    )  # fmt: skip
    corners = [(head * across - 0.5, layer * down - 0.5) for layer in range(layers) for head in range(heads)]
    boxes = [[(x, y), (x + m, y), (x + m, y + n), (x, y + n), (x, y)] for x, y in corners]
    axes.add_collection(LineCollection(boxes, colors=style.frame, linewidths=0.5, clip_on=False), autolim=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _label(
    axes: Axes, names: Sequence[str], heads: Sequence[int], shape: tuple[int, ...], inches: tuple[float, float],
    style: Style,
) -> None:  # fmt: skip
    """Name layers and heads; where there is too little room only every second, third and so on."""
    columns, n, m = shape[1:]
    across_names = [f"H{number}" for number in heads] + ["mean"] * (columns - len(heads))
    wide = max(text_width(name, LABEL) for name in across_names[: len(heads)]) + 0.05
    for axis, labels, cells, need, side in (
        (axes.xaxis, across_names, m, wide, inches[0]), (axes.yaxis, names, n, 0.13, inches[1]),
    ):  # fmt: skip
        step = max(1, math.ceil(need / side))
        last = len(labels) - 1 if labels[-1] == "mean" else len(labels)
        places = [place for place in range(0, last, step) if last == len(labels) or last - place >= 1]
        if last < len(labels):
            room = (text_width("mean", LABEL) + wide) / 2 if axis is axes.xaxis else need
            places = [place for place in places if (last - place) * side >= room - 0.01] + [last]
        axis.set_ticks([place * (cells + _gap(cells)) + (cells - 1) / 2 for place in places])
        axis.set_ticklabels([labels[place] for place in places], fontsize=LABEL)
    axes.xaxis.tick_top()
    axes.tick_params(colors=style.ink)


def _point_out(axes: Axes, framed: Places, shape: tuple[int, ...], style: Style) -> None:
    """Draw a frame around some heads."""
    n, m = shape
    for layer, head in framed:
        corner = head * (m + _gap(m)) - 0.5, layer * (n + _gap(n)) - 0.5
        axes.add_patch(Rectangle(corner, m, n, fill=False, edgecolor=style.accent, linewidth=1.3, clip_on=False))


def _pooled(maps: Grid, pixels: float) -> tuple[NDArray[np.floating], str]:
    """Return the maps of all heads, (L, H, n, m), pooled to at most so many ``pixels`` across, and how."""
    n, m = maps.weights.shape[2:]
    across, down = -(-m // max(1, int(pixels))), -(-n // max(1, int(pixels * _ratio(maps))))
    joined = down * maps.down, across * maps.across
    if joined == (1, 1):
        return maps.weights, ""
    weights = maps.weights if across == down == 1 else pool_largest(maps.weights, down, across)
    return weights, f"each point is the largest of {joined[0]:,} × {joined[1]:,} weights"


def _notes(observation: Observation, maps: Grid, framed: Places, style: Style) -> list[str]:
    """Return what must be said of the picture, a note each."""
    shares = hidden_shares(maps.weights, observation, pooled=maps.size is not None)
    heads = maps.weights.shape[0] * maps.weights.shape[1]
    return [
        measure_note(observation.measure, observation.note),
        scale_note(style, heads, observation.measure) if style.own_scale or style.log else "",
        _framed_note(observation) if framed else "",
        "" if shares is None else hidden_note(observation, float(shares.mean())),
    ]


def _framed_note(observation: Observation) -> str:
    """Return why some heads are framed: a dark head may not be among them, since its links do not count."""
    if observation.measure.cumulative:
        return "framed: the last layer, whose paths go through all"
    apart = "" if observation.measure.by_layer else "; positional heads do not"
    counts = "" if observation.everything else f" between words that count{apart}"
    return f"framed: the {'layers' if observation.measure.by_layer else 'heads'} of the strongest links{counts}"
