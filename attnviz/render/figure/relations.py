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

_ROWS = 40
"""The most relations that are drawn."""
_LINE = 0.18
"""Inches of a relation."""
_WIDE = 6.0
_TICKS = (0, 0.25, 0.5, 0.75, 1)


def draw_relations(table: Table, style: Style) -> Figure:
    """Draw the accuracy of each relation's best head: a full bar where it is clearly above the baseline."""
    shown = table.top(_ROWS)
    width = style.given_width or _WIDE
    names = [clean(str(name)) for name in shown["relation"]]
    heads = [f"L{layer} H{head}  {way}" for layer, head, way in
             zip(shown["layer"], shown["head"], shown["direction"], strict=True)]  # fmt: skip
    counts = [formatted(count, "count") for count in shown["count"].tolist()]
    notes = [
        "Bar: accuracy (%) of the head, with its 95 % interval; pale where that is not above the baseline. "
        "Line: the best fixed offset. Right: words counted.",
        f"The first {len(shown)} of {len(table)} relations." if len(shown) < len(table) else "",
    ]
    model = clean(str(table.about.get("model", "")).rpartition("/")[2])
    around = sheet.frame(style, f"{table.title}  {model}".rstrip(), notes, width)
    down = _LINE * len(shown)
    page = sheet.new_sheet(style, around, around.above + down + 0.32 + around.below)
    top = around.above + 0.06
    first, second, last = (max(text_width(each, LABEL) for each in texts) for texts in (names, heads, counts))
    first = min(first, width * 0.3)
    left = EDGE + first + 0.12 + second + 0.1
    across = max(width - left - last - 0.12 - EDGE, sheet.LEAST)
    _draw_bars(page.axes(left, top, across, down), shown, style)
    for row, texts in enumerate(zip(names, heads, counts, strict=True)):
        middle = top + _LINE * (row + 0.5)
        page.write(EDGE, middle, shorten_to(texts[0], LABEL, first + 0.02), va="center")
        page.write(EDGE + first + 0.12, middle, texts[1], va="center", color=style.soft)
        page.write(width - EDGE, middle, texts[2], va="center", ha="right", color=style.soft)
    for tick in _TICKS:
        at = left + across * tick
        page.write(at, top + down + 0.05, f"{100 * tick:g}", SMALL, ha="center", color=style.soft)
    return page.figure


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
