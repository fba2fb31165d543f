"""Draw which head knows which relation: accuracies as bars with their intervals, and a mark for the baseline."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnviz.analysis.table import Table
from attnviz.render.figure import sheet
from attnviz.render.figure.fonts import shorten_to, text_width
from attnviz.render.figure.sheet import EDGE, LABEL, SMALL
from attnviz.render.figure.style import Style
from attnviz.render.labels import clean
from attnviz.render.values import formatted

_TICKS = (0, 0.25, 0.5, 0.75, 1)
_ROWS = 40
"""The most relations that are drawn."""
_LINE = 0.18
"""Inches of a relation, and at least so many where a height is given:"""
_LEAST = 0.14
_WIDE = 6.0
_NARROW = 1.5
"""Of fewer inches of bars, directions are arrows."""
_SCALE = 0.32
"""Inches of the scale below the bars, and of the gaps around."""
_ARROWS = {"dep → head": "→", "head → dep": "←"}


def draw_relations(table: Table, style: Style) -> Figure:
    """Draw the accuracy of each relation's best head: a full bar where it is clearly above the baseline."""
    width = style.given_width or _WIDE
    names = [clean(str(name)) for name in table["relation"]]
    counts = [formatted(count, "count") for count in table["count"].tolist()]
    heads, across, short = _heads(table, width - 2 * EDGE - 0.34, names, counts)
    model = clean(str(table.about.get("model", "")).rpartition("/")[2])
    title = f"{table.title}  {model}".rstrip()
    shown = table.top(_ROWS)
    while True:  # a height may have room for fewer, which is said
        around = sheet.frame(style, title, _notes(len(shown), len(table), arrows=short), width)
        room = (style.given_height or 1e9) - around.above - around.below - _SCALE
        fitting = max(1, min(len(shown), int(room / _LEAST)))
        if fitting == len(shown):
            break
        shown = table.top(fitting)
    line = min(_LINE, room / len(shown)) if style.given_height is None else room / len(shown)
    down = line * len(shown)
    page = sheet.new_sheet(style, around, around.above + down + _SCALE + around.below)
    top, left = around.above + 0.06, width - EDGE - 0.12 - max(text_width(each, LABEL) for each in counts) - across
    _draw_bars(page.axes(left, top, across, down), shown, style)
    first = min(max(text_width(each, LABEL) for each in names), width * 0.3)
    for row in range(len(shown)):
        middle = top + line * (row + 0.5)
        page.write(EDGE, middle, shorten_to(names[row], LABEL, first + 0.02), va="center")
        page.write(EDGE + first + 0.12, middle, heads[row], va="center", color=style.soft)
        page.write(width - EDGE, middle, counts[row], va="center", ha="right", color=style.soft)
    for tick in _TICKS[:: 1 if across > _NARROW else 2]:
        page.write(left + across * tick, top + down + 0.05, f"{100 * tick:g}", SMALL, ha="center", color=style.soft)
    return page.figure


def _notes(shown: int, count: int, *, arrows: bool) -> list[str]:
    """What the marks are, and how many relations are not drawn."""
    return [
        "Bar: accuracy (%) of the head, with its 95 % interval; pale where that is not above the baseline. "
        "Line: the best fixed offset. Right: words counted.",
        "→: the word looks at its head; ←: the head at it." if arrows else "",
        f"The first {shown} of {count} relations." if shown < count else "",
    ]


def _heads(table: Table, room: float, names: list[str], counts: list[str]) -> tuple[list[str], float, bool]:
    """The heads with their directions, the inches that are left for bars, and whether directions are arrows."""
    heads = [f"L{layer} H{head}" for layer, head in zip(table["layer"], table["head"], strict=True)]
    ways = [str(way) for way in table["direction"]]
    taken = min(max(text_width(each, LABEL) for each in names), (room + 2 * EDGE + 0.34) * 0.3)
    room -= taken + max(text_width(each, LABEL) for each in counts)
    for short in (False, True):
        said = [f"{head}  {_ARROWS.get(way, way) if short else way}" for head, way in zip(heads, ways, strict=True)]
        across = room - max(text_width(each, LABEL) for each in said)
        if across >= _NARROW:
            break
    return said, max(across, sheet.LEAST), short


def _draw_bars(axes: Axes, table: Table, style: Style) -> None:
    rows, clear = np.arange(len(table)), table["margin"] > 0
    colours = sheet.colours_of(style)
    accuracy = np.asarray(table["accuracy"], float)
    axes.barh(rows[clear], accuracy[clear], 0.66, color=colours(0.55))
    axes.barh(rows[~clear], accuracy[~clear], 0.66, color=colours(0.55), alpha=0.35)
    axes.hlines(rows, table["low"], table["high"], color=style.ink, linewidth=0.8)
    axes.vlines(table["baseline"], rows - 0.46, rows + 0.46, color=style.accent, linewidth=1.6)
    for tick in _TICKS[1:]:
        axes.axvline(tick, color=style.frame, linewidth=0.5, zorder=0)
    axes.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5), xticks=[], yticks=[])
    for name, spine in axes.spines.items():
        spine.set_visible(name == "left")
