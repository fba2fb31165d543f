"""Draw a text twice, with lines from the words that look to those they look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path
from numpy.typing import NDArray

from attnviz.analysis.text.arcs import MOST_WORDS, Arcs
from attnviz.record import Observation
from attnviz.render.figure import sheet
from attnviz.render.figure.captions import axis_names, hidden_note, measure_note, picture_name
from attnviz.render.figure.cells import PITCH
from attnviz.render.figure.fonts import families, shorten_to, text_width
from attnviz.render.figure.sheet import BOLD, EDGE, LABEL, SMALL, Sheet
from attnviz.render.figure.style import Style, own_settings
from attnviz.render.labels import clean, head_name, reads_right_to_left

HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a3b8f", "#8a6d3b")
"""The hues of heads, which colour-blind readers can tell apart; the first six are those of Okabe and Ito (2008)."""
_KEY = 0.2
"""Inches of a line of heads' names."""
_LINE = 0.175
"""Inches from one word to the next below it."""
_SPACE = 0.14
"""Inches between words side by side."""
_BETWEEN = 2.2
"""Inches from one row of words to the other, unless a width is given."""
_AROUND = 1.3
"""Inches that the title, the names of the sides and of heads, and the notes may take."""
_LONGEST = 1.6
"""The most inches of a word."""
_FAINT = 1 / 255
"""The least opacity that can be seen."""
_WIDE = 1.6
"""The points across a line."""
_DECADES = 2
"""How far below its end a logarithmic scale begins, in powers of ten: of more there would be a grid of lines."""


@own_settings()
def draw_arcs(observation: Observation, arcs: Arcs, style: Style | None = None, *, horizontal: bool = False) -> Figure:
    """Draw the words twice, queries left and keys right, with a line for each weight; or one above the other.

    A line's opacity is its weight, as a share of the scale's end, divided by the number of heads (as in bertviz, Vig
    2019); on a logarithmic scale, which would else be a grid of lines, so is its width. Up to eight heads have a hue
    each.

    Args:
        observation: what was observed.
        arcs: the words and the links.
        style: how the picture looks.
        horizontal: whether words stand side by side, queries above and keys below.

    Raises:
        UsageError: the picture would have too many pixels.
    """
    style = style or Style()
    names = [head_name(layer, head, observation.measure) for layer, head in arcs.heads]
    longest = min(_LONGEST, max(0.3, (style.given_width or 99.0) / 3 - 0.2))
    sides = [[shorten_to(clean(label), LABEL, longest) for label in labels] for labels in (arcs.queries, arcs.keys)]
    layout = _across(sides, style) if horizontal else _down(sides, style)
    title = picture_name(observation) + (f"  {names[0]}" if len(names) == 1 else "")
    around = sheet.frame(style, title, _notes(observation, arcs, style), layout.width)
    legend = _place_legend(names, layout.width) if len(names) > 1 else []
    above = around.above + 0.18 + (legend[-1][1] + _KEY if legend else 0.0)
    page = sheet.new_sheet(style, around, above + layout.height + around.below)
    high = max(0.2, page.height - above - around.below)
    axes = page.axes(0, above, page.width, high)
    axes.set(xlim=(0, page.width), ylim=(high, 0))
    axes.set_axis_off()
    layout = replace(layout, stretch=high / layout.height)
    _draw_lines(axes, arcs, layout, style)
    _write_words(axes, layout, sides, style)
    _name_sides(page, layout, axis_names(arcs.units), above)
    for (left, top), name, hue in zip(legend, names, HUES, strict=False):
        page.write(left, around.above + top, name, LABEL, color=hue, weight="bold")
    return page.figure


def room_for_words(style: Style, *, horizontal: bool = False) -> int:
    """Return how many words a side of arcs has room for in the width or the size that is given."""
    room = 99.0
    if horizontal and style.given_width:
        room = style.given_width - 2 * EDGE
    elif style.given_height and not horizontal:
        room = style.given_height - _AROUND
    return max(2, min(MOST_WORDS, int(room / PITCH)))


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where words stand: the inches of the ``ends`` of their lines, from the left and the top.

    Args:
        width, height: the size of the drawing.
        ends: for queries and keys the places (n, 2) at which lines begin and end.
        horizontal: whether the words stand side by side.
        upright: whether words stand on end.
        stretch: what heights are multiplied by.
    """

    width: float
    height: float
    ends: tuple[NDArray[np.floating], NDArray[np.floating]]
    horizontal: bool = False
    upright: bool = False
    stretch: float = 1.0

    def place(self, side: int) -> NDArray[np.floating]:
        """Return the ends of a side, stretched to the height given."""
        return self.ends[side] * (1.0, self.stretch)


def _down(sides: Sequence[Sequence[str]], style: Style) -> _Layout:
    """Return the layout of two columns of words."""
    left, right = (max(text_width(label, LABEL) for label in side) + 0.12 for side in sides)
    width = style.given_width or left + right + _BETWEEN + 2 * EDGE
    count = max(map(len, sides))
    ends = []
    for x, side in ((EDGE + left, sides[0]), (width - EDGE - right, sides[1])):
        shift = (count - len(side)) / 2  # the shorter side stands in the middle
        ends.append(np.array([(x, (i + shift + 0.5) * _LINE) for i in range(len(side))]))
    return _Layout(width, count * _LINE, (ends[0], ends[1]))


def _across(sides: Sequence[Sequence[str]], style: Style) -> _Layout:
    """Return the layout of two lines of words; they stand on end if the width is too small."""
    widths = [np.array([text_width(label, LABEL) + _SPACE for label in side]) for side in sides]
    total = max(float(each.sum()) for each in widths)
    width = style.given_width or max(2.0, total + 2 * EDGE)
    upright = total + 2 * EDGE > width * 1.001
    room = [_SPACE + 0.02] * 2
    if upright:
        widths = [np.full(len(each), (width - 2 * EDGE) / max(map(len, sides))) for each in widths]
        room = [max(text_width(label, LABEL) for label in side) + 0.08 for side in sides]
    between = min(1.6, max(0.9, width * 0.22))
    ends: list[NDArray[np.floating]] = []
    for y, each in ((room[0], widths[0]), (room[0] + between, widths[1])):
        begin = EDGE + (width - 2 * EDGE - each.sum()) / 2
        middles = begin + np.cumsum(each) - each / 2
        if reads_right_to_left(sides[len(ends)]):
            middles = width - middles
        ends.append(np.column_stack((middles, np.full(len(each), y))))
    return _Layout(width, room[0] + between + room[1] + 0.14, (ends[0], ends[1]), horizontal=True, upright=upright)


def _draw_lines(axes: Axes, arcs: Arcs, layout: _Layout, style: Style) -> None:
    """Draw a curve for each link, the faint ones first."""
    high = style.vmax or max((weight for *_, weight in arcs.links), default=1.0)
    tail, head = layout.place(0), layout.place(1)
    paths, colours, widths = [], [], []
    for place, query, key, weight in sorted(arcs.links, key=lambda link: link[-1]):
        share = min(1.0, _share(weight, high, style))
        opacity = share / len(arcs.heads)
        if opacity < _FAINT:
            continue
        start, end = tail[query], head[key]
        bend = np.array([0, (end - start)[1]]) / 2 if layout.horizontal else np.array([(end - start)[0], 0]) / 2
        paths.append(Path(np.array([start, start + bend, end - bend, end]), [1, 4, 4, 4]))
        hue = HUES[place] if len(arcs.heads) > 1 else ("#204f98" if style.theme == "light" else "#f7913d")
        colours.append((*to_rgb(hue), opacity))
        widths.append(_WIDE * share if style.log else _WIDE)
    axes.add_collection(PathCollection(paths, facecolors="none", edgecolors=colours, linewidths=widths))


def _share(weight: float, high: float, style: Style) -> float:
    """Return the place of a weight on the scale, from 0 to 1."""
    if not style.log:
        return weight / high
    return max(0.0, 1 + float(np.log10(max(weight, 1e-12) / high)) / _DECADES)


def _write_words(axes: Axes, layout: _Layout, sides: Sequence[Sequence[str]], style: Style) -> None:
    """Write the words at the ends of the lines."""
    for side, labels in enumerate(sides):
        for (x, y), label in zip(layout.place(side), labels, strict=True):
            if layout.horizontal:
                options: dict[str, Any] = {
                    "ha": "center",
                    "va": "top" if side else "bottom",
                    "rotation": 90 if layout.upright else 0,
                }
                y += 0.05 if side else -0.05
            else:
                options = {"ha": "left" if side else "right", "va": "center_baseline"}
                x += 0.05 if side else -0.05
            options["fontfamily"] = list(families(label))
            axes.text(x, y, label, size=LABEL, color=style.ink, parse_math=False, **options)


def _name_sides(page: Sheet, layout: _Layout, names: tuple[str, str], top: float) -> None:
    """Say which side looks and which is looked at."""
    for side, (name, align) in enumerate(zip(names, ("right", "left"), strict=True)):
        if layout.horizontal:
            where = top - 0.16 if not side else top + layout.height * layout.stretch
            page.write(EDGE, where, name, SMALL, color=page.style.soft, va="top" if not side else "bottom")
        else:
            edge = EDGE + text_width(name, SMALL)
            x = max(layout.ends[0][0, 0], edge) if not side else min(layout.ends[1][0, 0], page.width - edge)
            page.write(x, top - 0.16, name, SMALL, color=page.style.soft, ha=align)


def _place_legend(names: Sequence[str], width: float) -> list[tuple[float, float]]:
    """Return the left and the top of the heads' names, in as many lines as the ``width`` of the picture asks for."""
    places: list[tuple[float, float]] = []
    left, top = EDGE, 0.0
    for name in names:
        size = text_width(name, LABEL) * BOLD
        if places and left + size > width - EDGE:
            left, top = EDGE, top + _KEY
        places.append((left, top))
        left += size + 0.12
    return places


def _notes(observation: Observation, arcs: Arcs, style: Style) -> list[str]:
    """Return what must be said of the picture, a note each."""
    high = style.vmax or max((weight for *_, weight in arcs.links), default=1.0)
    divided = f", divided by {len(arcs.heads)} heads" if len(arcs.heads) > 1 else ""
    low, how = (high / 10**_DECADES, " on a logarithmic scale") if style.log else (0.0, "")
    drawn = "width and opacity" if style.log else "opacity"
    measure = observation.measure
    what = "weight" if measure.plain else measure.name
    ends = f"{sheet.number(low, measure.share)} to {sheet.amount(high, measure)}"
    notes = [measure_note(measure, observation.note), f"{drawn}: {what}, from {ends}{how}{divided}"]
    if arcs.averaged:
        notes.append(f"the mean of {arcs.averaged} heads")
    if arcs.left_out:
        notes.append(f"the {len(arcs.links):,} strongest links that count; {arcs.left_out:,} others are left out")
    if arcs.hidden is not None:
        notes.append(hidden_note(observation, arcs.hidden))
    return [note for note in notes if note]
