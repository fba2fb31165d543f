"""Draw a head's map as lines between two columns of words: on the left what looks, on the right what is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style

from attnviz.explore.drawing import Drawn, Line, Look, colour_of, ground_of, style
from attnviz.explore.listing import first_line
from attnviz.render.heatmap import Heatmap
from attnviz.render.labels import fit, fit_right, width
from attnviz.render.terminal.blocks import cell_number

_LABEL = 16
"""The most columns of a word."""
_NUMBER = 5
"""The columns of a weight behind a word."""
_LEAST = 0.1
"""The share of the largest weight from which on links are drawn."""
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot of a braille character, by its row and column."""
_BLANK = 0x2800


@dataclass(frozen=True, eq=False)
class DrawnArcs(Drawn):
    """Two columns of words.

    Attributes:
        firsts: the row and the column of the first words that are shown.
        at: those under the cursor.
        right: where the words on the right begin.
        step: how many lines a word takes.
    """

    firsts: tuple[int, int] = (0, 0)
    at: tuple[int, int] = (0, 0)
    right: int = 0
    step: int = 1

    def hit(self, x: int, y: int) -> tuple[int, int] | None:
        """The row under the mouse on the left, or the column on the right, with the other of the cursor."""
        row, column = (first + y // self.step for first in self.firsts)
        if x <= self.label:
            return (row, self.at[1]) if row < len(self.heat.rows) else None
        return (self.at[0], column) if x >= self.right and column < len(self.heat.columns) else None


def draw_arcs(heat: Heatmap, cursor: tuple[int, int] | None, room: tuple[int, int], look: Look) -> DrawnArcs:
    """Draw the strongest links of a heatmap as lines in ``room`` (columns, lines), with the words around the cursor.

    Each line has the colour of its weight; those of the word under the cursor have the cursor's, and the words that it
    looks at have the colour and the number of what they get.
    """
    (wide, high), at = room, cursor or (0, 0)
    counts = len(heat.rows), len(heat.columns)
    shown = min(counts[0], high), min(counts[1], high)
    firsts = first_line(at[0], counts[0], shown[0]), first_line(at[1], counts[1], shown[1])
    most = min(_LABEL, max((wide - _NUMBER) // 3, 3))
    left, right = (min(max(map(width, names), default=1), most) for names in (heat.rows, heat.columns))
    across = max(wide - left - right - _NUMBER - 2, 2)
    rows, columns = (slice(first, first + count) for first, count in zip(firsts, shown, strict=True))
    values = np.nan_to_num(heat.values[rows, columns])
    step = 2 if 2 * max(shown) - 1 <= high else 1
    lines: list[Line] = []
    for y, between in enumerate(_lines(values, at[0] - firsts[0], across, step, heat, look)):
        row, column = (first + y // step for first in firsts)
        source, target = Segment(" " * left), list[Segment]()
        if y % step == 0 and y // step < shown[0]:
            source = Segment(fit_right(heat.rows[row], left), look.mark if row == at[0] else None)
        if y % step == 0 and y // step < shown[1]:
            value = float(np.nan_to_num(heat.values[at[0], column]))
            target = _target(heat, column, value, right, look, marked=column == at[1])
        lines.append([source, Segment(" "), *between, Segment(" "), *target])
    return DrawnArcs(lines, heat, 0, left, 1, False, firsts, at, left + across + 2, step)


def _target(heat: Heatmap, column: int, value: float, room: int, look: Look, *, marked: bool) -> Line:
    """A word that is looked at, and what the word under the cursor gives it."""
    ground = Style(bold=value > heat.high / 2) if look.plain else ground_of(value, heat.low, heat.high, look)
    name = fit(heat.columns[column], room)
    number = Segment(f"{cell_number(value, heat):>{_NUMBER - 1}}")
    if marked:
        return [Segment(name, look.mark), number]
    size = len(name.rstrip())
    return [Segment(name[:size], ground if value else None), Segment(name[size:]), number]


def _lines(values: NDArray[np.floating], cursor: int, across: int, step: int, heat: Heatmap, look: Look) -> list[Line]:
    """The links of the values (r, c) as braille, ``across`` characters wide; words are ``step`` lines apart."""
    down = step * (max(values.shape) - 1) + 1
    dots, best = np.zeros((down, across), np.int64), np.zeros((down, across))
    own = np.zeros((down, across), bool)
    for row, column in _strongest(values, cursor, heat.high * _LEAST):
        x = np.arange(2 * across)
        y = np.rint(np.linspace(4 * step * row + 1.5, 4 * step * column + 1.5, len(x))).astype(int)
        np.bitwise_or.at(dots, (y // 4, x // 2), np.array(_DOTS)[y % 4, x % 2])
        best[y // 4, x // 2], own[y // 4, x // 2] = values[row, column], row == cursor
    found: list[Line] = []
    for bits, weights, of_cursor in zip(dots.tolist(), best.tolist(), own.tolist(), strict=True):
        line: Line = []
        for bit, weight, mine in zip(bits, weights, of_cursor, strict=True):
            if not bit:
                line.append(Segment(" "))
                continue
            ink = look.cursor if mine else colour_of(weight, heat.low, heat.high, look)
            line.append(Segment(chr(_BLANK + bit), Style(bold=mine) if look.plain else style(ink, None)))
        found.append(line)
    return found


def _strongest(values: NDArray[np.floating], cursor: int, least: float) -> list[tuple[int, int]]:
    """The rows and columns of the links that are drawn: as many of the strongest as there are words, and the row's own.

    Those that are drawn last lie on top: the strongest, and those of the word under the cursor.
    """
    sizes = np.abs(values)
    order = np.argsort(sizes, axis=None, kind="stable")[-max(values.shape) :]
    kept = [divmod(int(place), values.shape[1]) for place in order if sizes.flat[place] >= least]
    own = [place for place in kept if place[0] == cursor]
    if not own and 0 <= cursor < len(values) and sizes[cursor].any():
        own = [(cursor, int(sizes[cursor].argmax()))]
    return [*(place for place in kept if place[0] != cursor), *own]
