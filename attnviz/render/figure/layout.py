"""Where maps, their words and their scales go on a sheet, in inches."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnviz.render.figure import cells, sheet
from attnviz.render.figure.cells import Side
from attnviz.render.figure.sheet import EDGE, Frame, Scale
from attnviz.render.figure.style import Style
from attnviz.render.heatmap import Heatmap

_CELL, _SEVERAL = 0.42, 0.28
"""The most inches of a cell of a map alone and of several, unless a picture is asked to be wide."""
_SMALL, _LEAST = 0.2, 1.2
"""The fewest inches of a cell with a word, and of a map, before maps stand below each other."""
BIG = 8.0
"""Inches of the longer side of a map of many words."""
NAMED = 80
"""The most words of a map whose axes name them."""
_NUMBERED = 16
"""The most words of a map whose cells contain their weights unasked."""
_TALL = 10.0
"""The most inches of a map's height, unless a picture is asked to be higher."""
_SHORT = 0.55
"""The fewest inches of a map's shorter side."""
_PAGE = 14.0
"""The most inches of a picture of several maps, unless more are asked for."""
_GAP, UNDER = 0.18, 0.08
"""Inches between maps side by side and between lines of maps."""
_STRIP = 0.42
"""Inches of the strip that says what share of a row is not drawn, with the gap before it."""
_LARGE = 0.5
"""From such a share on of a row's weight, what is not drawn is said of each row."""
_UPRIGHT = 1.1
"""The fewest inches of maps beside which the scale stands; it lies below lower ones."""
AXIS, _HEADING = 0.17, 0.19
"""Inches of the name of an axis, and of the heading of a map."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One map of a picture.

    Args:
        heading: what stands over it; empty for none.
        heatmap: the map.
        across: the words over its columns.
        scale: what has its norm and its colours.
        hidden: which share of each row's weight is not drawn, (r,); None if unknown.
        marked: the rows that are pointed out.
        bar: the label of a scale of its own beside it; None if it shares the picture's.
        signed: whether values are differences, written with their sign.
    """

    heading: str
    heatmap: Heatmap
    across: tuple[str, ...]
    scale: Scale
    hidden: NDArray[np.floating] | None = None
    marked: Collection[int] = ()
    bar: str | None = None
    signed: bool = False

    @property
    def largest(self) -> float:
        """The largest value."""
        return float(np.nanmax(self.heatmap.values))


@dataclass(frozen=True)
class Around:
    """What is said around the maps.

    Args:
        title: the title.
        notes: the notes below.
        axes: the names of the vertical and the horizontal axis.
        bar: the label of the scale that the maps share; empty if there is none.
        named: whether words can name rows and columns.
    """

    title: str
    notes: list[str]
    axes: tuple[str, str]
    bar: str
    named: bool


@dataclass(frozen=True)
class Plan:
    """Where everything goes, in inches.

    Args:
        frame: the title and the notes.
        height: the height of the picture.
        sides: the labels of rows and of columns, for each map.
        across, down: the size of a map.
        per_line, lines: how many maps stand side by side, and how many lines of them there are.
        left: what stands to the left of a map that has labels there.
        own: whether each map has labels of its own at its left; else only the first of a line.
        over: what stands over each.
        after: what stands to the right of each map: the strip of hidden shares, a scale of its own, a gap.
        strip: what the strip takes.
        upright: whether the scale stands beside the maps.
        stands: whether the words over columns stand on end.
        numbers: whether cells contain their weights.
        separated: whether there are lines between cells.
        words: what the words over a map take.
    """

    frame: Frame
    height: float
    sides: tuple[tuple[Side, Side], ...]
    across: float
    down: float
    per_line: int
    lines: int
    left: float
    own: bool
    over: float
    after: tuple[float, ...]
    strip: float
    upright: bool
    stands: bool
    numbers: bool
    separated: bool
    words: float

    def corner(self, place: int) -> tuple[float, float]:
        """Return the left and the top of the map at ``place``."""
        line = place // self.per_line
        before = range(line * self.per_line, place)
        left = EDGE + self.left + sum(self.across + self.after[i] + self.left * self.own for i in before)
        return left, self.frame.above + self.over + line * (self.down + self.over + UNDER)


@dataclass(frozen=True)
class _Across:
    """What decides how wide a picture is, in inches.

    Args:
        width: the width of the picture.
        cell: the width of a cell.
        sides: the labels of each map's rows.
        per_line: how many maps stand side by side.
        left: what stands to the left of a map that has labels there.
        after: what stands to the right of each map.
        upright: whether the scale stands beside the maps.
    """

    width: float
    cell: float
    sides: tuple[Side, ...]
    per_line: int
    left: float
    after: tuple[float, ...]
    upright: bool


def _fit_across(
    panels: Sequence[Panel], around: Around, style: Style, strip: float, given: int | None, *, own: bool
) -> _Across:
    """Return the widths of a picture; labels depend on the size of cells, and this on the labels."""
    count, named = len(panels), around.named
    rows, columns = _largest(panels)
    natural = (BIG if count == 1 else BIG / 2) / max(rows, columns)
    natural = min(_CELL if count == 1 else _SEVERAL, natural) if named else natural
    found = _Across(style.given_width or _PAGE, natural, (), given or 1, 0.0, (), upright=True)
    for _ in range(3):
        share = found.width / found.per_line if own else found.width
        sides = tuple(cells.side_labels(p.heatmap, p.heatmap.rows, found.cell, share, named=named) for p in panels)
        left = AXIS + max(side.inches for side in sides) + 0.05
        upright = (style.given_height or rows * found.cell + 1) >= _UPRIGHT + 1
        bar = sheet.bar_room() if upright else 0.05
        after = tuple(strip + (bar if panel.bar else 0.0) + _GAP for panel in panels)
        fixed = 2 * EDGE + left * (not own) + (bar if around.bar else 0.0) - _GAP
        worded = columns * _SMALL if not style.given_width or columns * _SMALL + fixed <= style.given_width else 0.0
        least = min(columns * natural, max(_LEAST, worded)) + max(after) + left * own
        per_line = given or _per_line(count, least, (style.given_width or _PAGE) - fixed)
        extras = max(sum(after[i : i + per_line]) for i in range(0, count, per_line)) + left * own * per_line
        if style.given_width:
            width, cell = style.given_width, (style.given_width - fixed - extras) / per_line / columns
        else:
            cell = min(natural, max(_SMALL, (_PAGE - fixed - extras) / per_line / columns)) if named else natural
            width = fixed + extras + per_line * max(_SHORT, columns * cell)
        found = _Across(width, cell, sides, per_line, left, after, upright)
    return found


def plan_panels(panels: Sequence[Panel], around: Around, style: Style) -> Plan:
    """Return the plan of a picture; in a given size the maps stand in lines so that their cells become largest."""
    count = len(panels)
    choices = [None] if style.given_height is None else sorted({-(-count // lines) for lines in range(1, count + 1)})
    plans = [_plan_lines(panels, around, style, per_line) for per_line in choices]
    rows, columns = _largest(panels)
    best = max(plans, key=lambda plan: min(plan.across / columns, plan.down / rows))
    return replace(best, across=max(sheet.LEAST, best.across), down=max(sheet.LEAST, best.down))


def _plan_lines(panels: Sequence[Panel], around: Around, style: Style, per_line: int | None) -> Plan:
    """Return the plan with so many maps in a line; None for as many as the width has room for."""
    named = around.named
    rows, columns = _largest(panels)
    own = any(panel.heatmap.rows != panels[0].heatmap.rows for panel in panels)
    large = any(panel.hidden is not None and panel.hidden.max(initial=0) >= _LARGE for panel in panels)
    strip = _STRIP if large else 0.0
    fit = _fit_across(panels, around, style, strip, per_line, own=own)
    across = columns * fit.cell if style.given_width else max(_SHORT, columns * fit.cell)
    cell, room = across / columns, max(fit.width, 4.0)
    words = [cells.side_labels(panel.heatmap, panel.across, cell, room, named=named) for panel in panels]
    counts = [panel.heatmap.values.shape[1] for panel in panels]
    stands = any(side.labels and cells.stand_on_end(side, across / n) for side, n in zip(words, counts, strict=True))
    upper = max(side.inches for side in words) if stands else 0.13
    heading = _HEADING if any(panel.heading for panel in panels) else 0.0
    over = heading + AXIS + 0.05 + upper
    lines = math.ceil(len(panels) / fit.per_line)
    down = max(_SHORT, min(rows * fit.cell, _TALL))
    frame = sheet.frame(style, around.title, around.notes, fit.width)
    lies = not fit.upright and (around.bar or any(panel.bar for panel in panels))
    fixed = frame.above + frame.below + (0.5 if lies else 0.0) + lines * (over + UNDER)
    if style.given_height:
        down = (style.given_height - fixed) / lines
    numbers = style.annotate
    if numbers is None:
        fits = all(cells.has_room_for_numbers(panel.heatmap, cell, down / rows) for panel in panels)
        numbers = named and max(rows, columns) <= _NUMBERED and fits
    sides = tuple(zip(fit.sides, words, strict=True))
    return Plan(
        frame, fixed + lines * down, sides, across, down, fit.per_line, lines, fit.left, own, over, fit.after, strip,
        fit.upright, stands, numbers, separated=named, words=upper,
    )  # fmt: skip


def _largest(panels: Sequence[Panel]) -> tuple[int, int]:
    """Return the most rows and the most columns of the maps."""
    shapes = [panel.heatmap.values.shape for panel in panels]
    return max(rows for rows, _ in shapes), max(columns for _, columns in shapes)


def _per_line(count: int, least: float, room: float) -> int:
    """Return how many of ``count`` maps that take at ``least`` so much stand side by side in the ``room``."""
    lines = math.ceil(count / min(count, max(1, int(room / least + 1e-6))))
    return math.ceil(count / lines)  # as even as can be
