"""The map of one head in a picture: its cells, the words along its sides, and the weights in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from attnviz.render import palette
from attnviz.render.figure.fonts import families, shorten_to, text_width
from attnviz.render.figure.sheet import LABEL, SMALL, Scale, Sheet
from attnviz.render.heatmap import Heatmap
from attnviz.render.labels import clean

PITCH = 0.12
"""The fewest inches from one label to the next."""
_SKIP = 3
"""Where fewer than one label in so many would stand, numbers say more than words."""
_SHARE = 0.28
"""The largest part of a picture's width that the words beside it take."""
_LONGEST = 1.6
"""The most inches of a word, and of a passage's first words."""
_LONGEST_NAME = 2.8


@dataclass(frozen=True)
class Side:
    """The labels along one side of a map.

    Args:
        labels: a label for each row or column; empty where they are numbers.
        inches: the length of the longest.
    """

    labels: tuple[str, ...]
    inches: float


def side_labels(heatmap: Heatmap, labels: Sequence[str], cell: float, width: float, *, named: bool) -> Side:
    """Return the labels of one side, cut to the room that they have; numbers if words would be too dense.

    Args:
        heatmap: the map.
        labels: the words.
        cell: the inches of a cell along this side.
        width: the inches of the picture.
        named: whether the map is small enough for words at all.
    """
    if not named or cell * _SKIP < PITCH:
        return Side((), text_width("00,000", SMALL))
    most = min(_LONGEST_NAME if heatmap.named else _LONGEST, max(0.35, _SHARE * width))
    cut = tuple(shorten_to(clean(label), LABEL, most) for label in labels)
    return Side(cut, max(text_width(label, LABEL) for label in cut))


def draw_cells(axes: Axes, heatmap: Heatmap, scale: Scale, *, lines: str | None) -> None:
    """Draw the cells of ``heatmap``, with thin ``lines`` of this colour between them, None for none."""
    rows, columns = heatmap.values.shape
    axes.imshow(
        heatmap.values, cmap=scale.colours, norm=scale.norm, interpolation="nearest", aspect="auto", origin="upper"
    )
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    if lines:  # ticks of a grid would take far longer
        upright = [[(x - 0.5, -0.5), (x - 0.5, rows - 0.5)] for x in range(1, columns)]
        flat = [[(-0.5, y - 0.5), (columns - 0.5, y - 0.5)] for y in range(1, rows)]
        axes.add_collection(LineCollection([*upright, *flat], colors=lines, linewidths=0.5), autolim=False)


def label_side(axis: Axis, side: Side, numbers: NDArray[np.intp] | None, cell: float, *, upright: bool = False) -> None:
    """Write the labels of a side: words, of which only every second or third where they are dense, or round numbers.

    Args:
        axis: the side.
        side: its labels.
        numbers: the numbers of the units at which cells begin.
        cell: the inches of a cell.
        upright: whether the words of columns stand on end.
    """
    if side.labels:
        step = max(1, math.ceil(PITCH / cell - 0.05))
        places = range(0, len(side.labels), step)
        axis.set_ticks(list(places))
        texts = axis.set_ticklabels([side.labels[place] for place in places], parse_math=False)
        for text in texts:
            text.set(rotation=90 if upright else 0, fontfamily=list(families(text.get_text())), fontsize=LABEL)
    elif numbers is None:
        axis.set_ticks([])
    else:
        _number_ticks(axis, numbers, cell * len(numbers))


def _number_ticks(axis: Axis, numbers: NDArray[np.intp], inches: float) -> None:
    """Set ticks at round unit numbers; ``numbers`` are the units at which the cells begin, along so many inches."""
    need = PITCH + 0.08 if isinstance(axis, YAxis) else text_width(f"{numbers[-1]:,}", SMALL) + 0.1
    most = max(1, min(10, int(inches / need)))
    wanted = MaxNLocator(nbins=most, integer=True).tick_values(numbers[0], numbers[-1])
    shown = [int(number) for number in wanted if numbers[0] <= number <= numbers[-1]]
    axis.set_ticks([float(place) for place in np.searchsorted(numbers, shown, side="right") - 1])
    axis.set_ticklabels([f"{number:,}" for number in shown], fontsize=SMALL)


def stand_on_end(side: Side, cell: float) -> bool:
    """Return whether the words over columns are too wide to lie."""
    return side.inches + 0.06 > cell


def has_room_for_numbers(heatmap: Heatmap, across: float, down: float) -> bool:
    """Return whether weights can be written in cells of this size in inches."""
    sign = "−" if heatmap.low < 0 else ""
    longest = sign + _written(heatmap, float(np.nanmax(np.abs(heatmap.values))))
    return across >= text_width(longest, SMALL) + 0.02 and down >= PITCH and not heatmap.pooled


def write_weights(axes: Axes, scale: Scale, heatmap: Heatmap, points: float, *, signed: bool = False) -> None:
    """Write the weights in percent, or in the map's smaller unit, in black or white as the cell is light or dark."""
    colours = np.asarray(scale.to_rgba(heatmap.values))[..., :3] * 255
    for (row, column), value in np.ndenumerate(heatmap.values):
        if float(_written(heatmap, abs(float(value)))):
            ink = "#000000" if palette.is_light(colours[row, column]) else "#ffffff"
            written = ("+" if signed and value > 0 else "") + _written(heatmap, float(value)).replace("-", "−")
            axes.text(column, row, written, ha="center", va="center", size=points, color=ink)


def _written(heatmap: Heatmap, value: float) -> str:
    """Return a weight as it is written into its cell."""
    value *= 10.0**heatmap.exponent
    return f"{100 * value:.0f}" if heatmap.percent else f"{value:.1f}"


def draw_hidden(sheet: Sheet, axes: Axes, shares: NDArray[np.floating], box: tuple[float, float, float, float]) -> None:
    """Draw beside a map which share of each row's weight lies on tokens that are not drawn.

    Args:
        sheet: where.
        axes: the axes of the map, with whose rows the bars are aligned.
        shares: the share of each row, (r,).
        box: the inches of the left, top, width and height of the strip.
    """
    strip = sheet.axes(*box)
    strip.set(xlim=(0, 1), ylim=axes.get_ylim(), xticks=[], yticks=[])
    strip.set_frame_on(False)
    rows = len(shares)
    strip.barh(np.arange(rows), shares, height=0.8, color=sheet.style.frame, linewidth=0)
    if box[3] / rows >= PITCH:
        for row, share in enumerate(shares):
            strip.text(0.06, row, f"{100 * share:.0f}", va="center", size=SMALL, color=sheet.style.ink)
    sheet.write(box[0], box[1] - 0.03, "hidden %", SMALL, va="bottom", color=sheet.style.soft)
