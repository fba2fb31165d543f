"""Where maps, their words and their scales go on a sheet, in inches."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnviz.render.figure import cells, sheet
from attnviz.render.figure.cells import PITCH, Side
from attnviz.render.figure.fonts import text_width
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
"""The fewest inches of a map's shorter side; its name, too, fits over a map."""
_PAGE = 14.0
"""The most inches of a picture of several maps, unless more are asked for."""
_GAP, UNDER = 0.18, 0.08
"""Inches between maps side by side and between lines of maps."""
_STRIP = 0.42
"""Inches of the strip that says what share of a row is not drawn, with the gap before it."""
_LARGE = 0.5
"""From such a share on of a row's weight, what is not drawn is said of each row."""
_UPRIGHT, _LYING = 1.1, 0.5
"""The fewest inches of maps beside which the scale stands; it lies below lower ones, and takes so much."""
_NEAR = 0.25
"""How many inches higher a heading stands than it must, so as to align with another."""
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
        points: the cells that are pointed out, as row and column.
        bar: the label of a scale of its own beside it; None if it shares the picture's.
        signed: whether values are differences, written with their sign.
    """

    heading: str
    heatmap: Heatmap
    across: tuple[str, ...]
    scale: Scale
    hidden: NDArray[np.floating] | None = None
    marked: Collection[int] = ()
    points: Collection[tuple[int, int]] = ()
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
        written: the note on the numbers in cells, if there are any.
    """

    title: str
    notes: list[str]
    axes: tuple[str, str]
    bar: str
    named: bool
    written: str = ""

    @property
    def narrowest(self) -> float:
        """The fewest inches across a map: the name of its horizontal axis stands over it."""
        return max(_SHORT, text_width(self.axes[1], sheet.SMALL))


@dataclass(frozen=True)
class Plan:
    """Where everything goes, in inches.

    Args:
        frame: the title and the notes.
        height: the height of the picture.
        sides: the labels of rows and of columns, for each map.
        across, down: the size of a map.
        lefts, strips, afters: for each map of a line what stands to its left, what the strip of hidden shares takes at
            its right, and what stands there in all: the strip, a scale of its own, a gap.
        tops: for each line of maps where they begin.
        own: whether each map has labels of its own at its left; else only the first of a line.
        upright: whether scales stand beside the maps.
        stands: whether the words over columns stand on end.
        numbers: whether cells contain their weights.
        separated: whether there are lines between cells.
    """

    frame: Frame
    height: float
    sides: tuple[tuple[Side, Side], ...]
    across: float
    down: float
    lefts: tuple[float, ...]
    strips: tuple[float, ...]
    afters: tuple[float, ...]
    tops: tuple[float, ...]
    own: bool
    upright: bool
    stands: bool
    numbers: bool
    separated: bool

    @property
    def per_line(self) -> int:
        """How many maps stand side by side."""
        return len(self.lefts)

    def corner(self, place: int) -> tuple[float, float]:
        """Return the left and the top of the map at ``place``."""
        line, column = divmod(place, self.per_line)
        before = sum(self.lefts[: column + 1]) + sum(self.afters[:column]) + column * self.across
        return EDGE + before, self.tops[line]

    def words(self, place: int) -> float:
        """Return the room of the words between the map at ``place`` and its heading; headings side by side align."""
        first = place - place % self.per_line
        line = [_upper(across, stands=self.stands) for _, across in self.sides[first : first + self.per_line]]
        return max(inches for inches in line if inches <= line[place - first] + _NEAR)


@dataclass(frozen=True)
class _Across:
    """What decides how wide a picture is, in inches.

    Args:
        width: the width of the picture.
        cell: the width of a cell.
        sides: the labels of each map's rows.
        lefts, strips, afters: as in a ``Plan``.
        upright: likewise.
    """

    width: float
    cell: float
    sides: tuple[Side, ...]
    lefts: tuple[float, ...]
    strips: tuple[float, ...]
    afters: tuple[float, ...]
    upright: bool


@dataclass(frozen=True)
class _Choice:
    """One way to place maps: so many in a line (None: as many as fit), scales beside them or below, strips or none."""

    per_line: int | None
    upright: bool = True
    strips: bool = True


def _fit_across(panels: Sequence[Panel], around: Around, style: Style, choice: _Choice, *, own: bool) -> _Across:
    """Return the widths of a picture; labels depend on the size of cells, and this on the labels."""
    count, named = len(panels), around.named
    rows, columns = _largest(panels)
    natural = (BIG if count == 1 else BIG / 2) / max(rows, columns)
    natural = min(_CELL if count == 1 else _SEVERAL, natural) if named else natural
    strips = [_STRIP if choice.strips and panel.hidden is not None else 0.0 for panel in panels]
    room, per_line = style.given_width or _PAGE, choice.per_line or 1
    found = _Across(room, natural, (), (), (), (), choice.upright)
    for _ in range(3):
        share = found.width / per_line if own else found.width
        sides = tuple(cells.side_labels(p.heatmap, p.heatmap.rows, found.cell, share, named=named) for p in panels)
        upright = choice.upright and (style.given_height or rows * found.cell + 1) >= _UPRIGHT + 1
        bar = sheet.bar_room() if upright else 0.05
        afters = [strip + bar * bool(panel.bar) + _GAP for strip, panel in zip(strips, panels, strict=True)]
        fits = {
            n: _columns([side.inches + 0.05 for side in sides], strips, afters, n, own=own)
            for n in ([choice.per_line] if choice.per_line else range(count, 0, -1))
        }
        edges = 2 * EDGE - _GAP + bar * bool(around.bar)
        fixed = {n: edges + sum(lefts) + sum(after) for n, (lefts, _, after) in fits.items()}
        alone = min(fixed.values()) + columns * _SMALL <= room
        least = min(columns * natural, max(_LEAST, columns * _SMALL if alone or not style.given_width else 0.0))
        least = max(least, around.narrowest)
        per_line = next((n for n in fixed if fixed[n] + n * least <= room + 1e-6), min(fixed))
        per_line = choice.per_line or math.ceil(count / math.ceil(count / per_line))  # as even as can be
        cell = (room - fixed[per_line]) / per_line / columns
        width = room
        if not style.given_width:
            cell = min(natural, max(_SMALL, cell)) if named else natural
            width = fixed[per_line] + per_line * max(around.narrowest, columns * cell)
        found = _Across(width, cell, sides, *fits[per_line], upright)
    return found


def _columns(
    labels: Sequence[float], strips: Sequence[float], afters: Sequence[float], per_line: int, *, own: bool
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return what stands to the left of each map of a line, the strips, and what stands to the right."""
    most = [tuple(max(each[i::per_line]) for i in range(per_line)) for each in (labels, strips, afters)]
    lefts = tuple((AXIS if not i else 0.0) + (left if own else 0.0) for i, left in enumerate(most[0]))
    return (lefts if own else (AXIS + max(labels), *lefts[1:])), most[1], most[2]


def plan_panels(panels: Sequence[Panel], around: Around, style: Style) -> Plan:
    """Return the plan of a picture; in a given size the maps stand in lines so that their cells become largest.

    Where the width is too small for a word at each row and column, scales lie below the maps, and then there are no
    strips of hidden shares.
    """
    count = len(panels)
    rows, columns = _largest(panels)
    per_line = [None] if style.given_height is None else sorted({-(-count // lines) for lines in range(1, count + 1)})
    large = any(panel.hidden is not None and panel.hidden.max(initial=0) >= _LARGE for panel in panels)
    enough = min(PITCH, _LEAST / columns)
    found: list[Plan] = []
    for upright, strips in ((True, large), (False, large), (False, False)):
        plans = [_plan_lines(panels, around, style, _Choice(n, upright, strips)) for n in per_line]
        found.append(max(plans, key=lambda plan: min(plan.across / columns, plan.down / rows)))
        if found[-1].across / columns >= enough or not style.given_width:
            break
    best = max(found, key=lambda plan: round(plan.across, 1))
    return replace(best, across=max(sheet.LEAST, best.across), down=max(sheet.LEAST, best.down))


def _plan_lines(panels: Sequence[Panel], around: Around, style: Style, choice: _Choice) -> Plan:
    """Return the plan of one ``choice``."""
    named = around.named
    rows, columns = _largest(panels)
    own = any(panel.heatmap.rows != panels[0].heatmap.rows for panel in panels)
    fit = _fit_across(panels, around, style, choice, own=own)
    across = columns * fit.cell if style.given_width else max(around.narrowest, columns * fit.cell)
    cell, room, per_line = across / columns, max(fit.width, 4.0), len(fit.lefts)
    words = [cells.side_labels(panel.heatmap, panel.across, cell, room, named=named) for panel in panels]
    counts = [panel.heatmap.values.shape[1] for panel in panels]
    stands = any(side.labels and cells.stand_on_end(side, across / n) for side, n in zip(words, counts, strict=True))
    over, under = [], []
    for first in range(0, len(panels), per_line):
        line = range(first, min(first + per_line, len(panels)))
        heading = _HEADING if any(panels[i].heading for i in line) else 0.0
        over.append(heading + AXIS * (not first) + 0.05 + max(_upper(words[i], stands=stands) for i in line))
        under.append(UNDER + _LYING * (not fit.upright and any(panels[i].bar for i in line)))
    under[-1] += _LYING * (not fit.upright and bool(around.bar))
    frame = sheet.frame(style, around.title, [*around.notes, around.written], fit.width)
    fixed = frame.above + frame.below + sum(over) + sum(under)
    down = max(_SHORT, min(rows * (fit.cell if len(over) == 1 else min(fit.cell, _SMALL)), _TALL))
    if style.given_height:
        down = (style.given_height - fixed) / len(over)
    numbers = style.annotate
    if numbers is None:
        fits = all(cells.has_room_for_numbers(panel.heatmap, cell, down / rows) for panel in panels)
        numbers = named and max(rows, columns) <= _NUMBERED and fits
    if not numbers:
        frame = sheet.frame(style, around.title, around.notes, fit.width)
    tops = [frame.above + over[0]]
    for before, here in zip(under, over[1:], strict=False):
        tops.append(tops[-1] + down + before + here)
    return Plan(
        frame, tops[-1] + down + under[-1] + frame.below, tuple(zip(fit.sides, words, strict=True)), across, down,
        fit.lefts, fit.strips, fit.afters, tuple(tops), own, fit.upright, stands, numbers, separated=named,
    )  # fmt: skip


def _upper(words: Side, *, stands: bool) -> float:
    """Return the inches that the words over a map take."""
    return words.inches if stands else 0.13


def _largest(panels: Sequence[Panel]) -> tuple[int, int]:
    """Return the most rows and the most columns of the maps."""
    shapes = [panel.heatmap.values.shape for panel in panels]
    return max(rows for rows, _ in shapes), max(columns for _, columns in shapes)
