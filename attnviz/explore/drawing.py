"""Draw a heatmap into a rectangle of the terminal, with a cursor: the cells of all heads, or of one head's map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style

from attnviz.render import palette
from attnviz.render.heatmap import Heatmap, pool
from attnviz.render.labels import clean, fit, fit_right, letters, shorten, width
from attnviz.render.terminal.blocks import SHADES, by_numbers, cell_number, legend, ticks

Line = list[Segment]
_LABEL = 14
"""The most columns of a row's label."""
_TALL = 8
"""The most lines of the labels of columns."""
_CELL = 12
"""The most columns of a cell."""
_NAMED = 6
"""The fewest columns of a cell above which a label stands in one line, shortened."""


@dataclass(frozen=True)
class Look:
    """With what the explorer draws.

    Attributes:
        palette: the name of the palette of values.
        plain: the terminal has too few colours: cells are shades of characters or numbers.
        cursor: the colour of the cursor, which no value has.
    """

    palette: str = "ember"
    plain: bool = False
    cursor: str = "#3ee6d0"

    @property
    def mark(self) -> Style:
        """The style of what is under the cursor."""
        return Style(reverse=True, bold=True) if self.plain else style("#000000", self.cursor, bold=True)

    @property
    def named(self) -> Style:
        """The style of the labels of what is under the cursor."""
        return Style(bold=True, underline=True) if self.plain else style(self.cursor, None, bold=True)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A heatmap in a rectangle.

    Attributes:
        lines: what stands on each line.
        heat: the heatmap as it is drawn: pooled where there was no room.
        top: how many lines stand above the cells.
        label: how many columns stand before the cells.
        cell: how many columns a cell takes.
        halved: whether two rows share a line.
    """

    lines: list[Line]
    heat: Heatmap
    top: int
    label: int
    cell: int
    halved: bool

    def hit(self, x: int, y: int) -> tuple[int, int] | None:
        """The row and column of the cell at a place of the rectangle; None where there is none."""
        rows, columns = self.heat.values.shape
        line, across = y - self.top, x - self.label
        row, column = line * 2 if self.halved else line, across // self.cell
        return (row, column) if line >= 0 and across >= 0 and row < rows and column < columns else None


@lru_cache(4096)
def style(ink: str | None, ground: str | None, *, bold: bool = False) -> Style:
    """A style of these colours, made once."""
    return Style(color=ink, bgcolor=ground, bold=bold or None)


def draw_cells(heat: Heatmap, cursor: tuple[int, int] | None, room: tuple[int, int], look: Look) -> Drawn:
    """Draw a heatmap into ``room`` (columns, lines), pooled where it does not fit.

    Args:
        heat: the heatmap.
        cursor: the row and column under the cursor, as they are before pooling.
        room: the columns and lines that there are.
        look: with what it is drawn.
    """
    wide, high = room
    high = max(high, 2)
    thin = 2 if any(width(letter) > 1 for text in heat.columns for letter in letters(text, _TALL)) else 1
    label = min(max(map(width, heat.rows), default=0), _LABEL, max(wide // 4, 3)) + 1
    columns = max((wide - label) // thin, 1)
    pooled = pool(heat, (high - 1) * (1 if look.plain else 2), columns)
    rows, count = pooled.values.shape
    halved = not look.plain and rows > high - 1
    lines = -(-rows // 2) if halved else rows
    widest = max(map(width, pooled.columns), default=1)
    cell = max(thin, min((wide - label) // count, _CELL, max(widest + 1, 4)))
    needed = 1 + max((len(cell_number(float(value), heat)) for value in (heat.low, heat.high)), default=1)
    numbers = not halved and cell >= max(needed, 3)
    cell = cell if numbers else min(cell, 2)
    words, places = pooled, pooled.numbers
    if pooled.across == 1 and places and not _flat(pooled, cell):
        if pooled.rows == pooled.columns:
            pooled = by_numbers(pooled)
            label = min(max(map(width, pooled.rows)), _LABEL, max(wide // 4, 3)) + 1
        pooled = replace(pooled, columns=tuple(map(str, places[1])), named=True)
        cell = min(cell, (wide - label) // count)
        numbers = numbers and cell >= max(needed, 3)
    if not numbers:
        cell = min(cell, 2)
    at = _pooled_place(cursor, heat, pooled)
    head = _column_labels(pooled, label, cell, high - lines, at, look)
    draw = _numbered if numbers else _halved if halved else _filled
    found = [*head, *draw(pooled, label, cell, at, look)]
    below = [line.plain for line in legend(words, wide)] if words is not pooled else []
    left = max(high - len(found), 0)
    if below[left:] and left:
        below = [*below[: left - 1], f"{shorten(below[left - 1], wide - 2)} …"]
    found += [[Segment(line, Style(dim=True))] for line in below[:left]]
    return Drawn(found, pooled, len(head), label, cell, halved)


def _flat(heat: Heatmap, cell: int) -> bool:
    """Whether the labels of the columns stand in one line, side by side, as they are or shortened."""
    return cell >= _NAMED or all(width(name) < cell for name in heat.columns)


def _pooled_place(cursor: tuple[int, int] | None, heat: Heatmap, pooled: Heatmap) -> tuple[int, int]:
    if cursor is None:
        return -1, -1
    return cursor[0] // (pooled.down // heat.down), cursor[1] // (pooled.across // heat.across)


def _column_labels(heat: Heatmap, label: int, cell: int, room: int, at: tuple[int, int], look: Look) -> list[Line]:
    """The labels above the cells: side by side if they fit, else letter by letter; of pooled columns numbers.

    Where rows and columns are the same words, these have numbers instead, above the columns and beside the rows.
    """
    if heat.across > 1 and heat.numbers is not None:
        names = [f"{number} {name}" for number, name in zip(heat.numbers[1], heat.columns, strict=True)]
        return [[Segment(" " * label + ticks(names, cell))]]
    if heat.named and not all(width(name) < cell for name in heat.columns):
        return [[Segment(" " * label + ticks(heat.columns, cell))]]
    if all(width(name) < cell for name in heat.columns):
        stacks = [[clean(name)] for name in heat.columns]
    elif cell >= _NAMED:
        stacks = [[shorten(name, cell - 1)] for name in heat.columns]
    elif room < 3:  # the first letters
        stacks = [[set_cell_size(clean(name), cell - (cell > 1))] for name in heat.columns]
    else:
        stacks = [letters(name, min(_TALL, room)) for name in heat.columns]
    tall = max(map(len, stacks), default=1)
    found = []
    for line in range(tall):
        segments = [Segment(" " * label)]
        for column, stack in enumerate(stacks):
            text = stack[line - tall] if line >= tall - len(stack) else ""
            shown = fit_right(text, cell - 1) + " " if text and cell > 2 else set_cell_size(text, cell)
            segments.append(Segment(shown, look.named if column == at[1] else None))
        found.append(segments)
    return found


def _row_label(heat: Heatmap, row: int, label: int, at: tuple[int, int], look: Look) -> Segment:
    name = fit(heat.rows[row], label - 1) if heat.named else fit_right(heat.rows[row], label - 1)
    return Segment(f"{name} ", look.named if row == at[0] else None)


def _numbered(heat: Heatmap, label: int, cell: int, at: tuple[int, int], look: Look) -> list[Line]:
    """A line for each row, with a number in each cell."""
    colours, inks = _colours(heat, look)
    found = []
    for row, values in enumerate(heat.values):
        line = [_row_label(heat, row, label, at, look)]
        for column, value in enumerate(values.tolist()):
            text = f"{cell_number(value, heat):>{cell - 1}} "
            if (row, column) == at:
                line.append(Segment(text, look.mark))
            elif look.plain or value != value:
                line.append(Segment(text if text.strip() else f"{'·':>{cell - 1}} "))
            else:
                line.append(Segment(text, style(inks[row][column], colours[row][column])))
        found.append(line)
    return found


def _filled(heat: Heatmap, label: int, cell: int, at: tuple[int, int], look: Look) -> list[Line]:
    """A line for each row, with a colour or a shade in each cell."""
    if look.plain:
        shades = _shades(heat)
        return [
            [_row_label(heat, row, label, at, look)]
            + [Segment(shade * cell, look.mark if (row, column) == at else None) for column, shade in enumerate(line)]
            for row, line in enumerate(shades)
        ]
    colours, _ = _colours(heat, look)
    return [
        [_row_label(heat, row, label, at, look)]
        + [Segment(" " * cell, look.mark if (row, column) == at else style(None, colour))
           for column, colour in enumerate(line)]
        for row, line in enumerate(colours)
    ]  # fmt: skip


def _halved(heat: Heatmap, label: int, cell: int, at: tuple[int, int], look: Look) -> list[Line]:
    """Two rows a line: a half block in the upper row's colour on a ground in the lower row's."""
    colours, _ = _colours(heat, look)
    if at[0] >= 0:
        colours[at[0]][at[1]] = look.cursor
    found = []
    for row in range(0, len(colours), 2):
        lower: Sequence[str | None] = colours[row + 1] if row + 1 < len(colours) else [None] * len(colours[row])
        shown = at[0] if at[0] == row + 1 else row
        line = [_row_label(heat, shown, label, at, look)]
        line += [Segment("▀" * cell, style(up, down)) for up, down in zip(colours[row], lower, strict=True)]
        found.append(line)
    return found


def _colours(heat: Heatmap, look: Look) -> tuple[list[list[str]], list[list[str]]]:
    """The colour of each cell, and that of a number on it."""
    steps = palette.value_steps(heat.values, heat.low, heat.high)
    colours, inks = _table(look.palette, two_sided=heat.low < 0)
    return [[colours[i] for i in row] for row in steps.tolist()], [[inks[i] for i in row] for row in steps.tolist()]


@lru_cache(8)
def _table(name: str, *, two_sided: bool) -> tuple[list[str], list[str]]:
    """The 256 colours of a palette, and of numbers on them, as rich writes them."""
    table = palette.two_sided_table(name) if two_sided else palette.colour_table(name)
    return (
        ["#{:02x}{:02x}{:02x}".format(*colour) for colour in table],
        ["#000000" if palette.is_light(colour) else "#ffffff" for colour in table],
    )


def ground_of(value: float, low: float, high: float, look: Look) -> Style:
    """The style of a text on the colour of a value."""
    step = int(palette.value_steps(np.array([value]), low, high)[0])
    colours, inks = _table(look.palette, two_sided=low < 0)
    return style(inks[step], colours[step])


def colour_of(value: float, low: float, high: float, look: Look) -> str:
    """The colour of a value, as rich writes it."""
    step = int(palette.value_steps(np.array([value]), low, high)[0])
    return _table(look.palette, two_sided=low < 0)[0][step]


def _shades(heat: Heatmap) -> list[list[str]]:
    """The character of each cell, where there are no colours."""
    share = np.clip((heat.values - heat.low) / (heat.high - heat.low or 1), 0, 1)
    return [[SHADES[i] for i in row] for row in np.nan_to_num(share * (len(SHADES) - 1)).round().astype(int).tolist()]
