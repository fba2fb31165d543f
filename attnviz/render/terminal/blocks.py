"""Draw a heatmap with the characters of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

from attnviz.render import palette
from attnviz.render.heatmap import Heatmap, pool
from attnviz.render.labels import fit, fit_right, shorten, width

_LABEL = 14
"""The most columns of a row label, and of a cell; longer words are cut."""
_NAME = 48
"""The most columns of a row label that is the number and the first words of a passage."""
_SHORT = 4
"""The fewest columns of a column label that is cut; where there are not so many, columns have numbers."""
_CELL = 4
"""The columns of a cell if there is room for them."""
_TICK = 14
"""The most columns of a label above a map whose columns are too narrow for labels of their own."""
_MARK = "╷"
"""The sign before such a label, at the beginning of its column."""
_SCALE = 24
"""The columns of the colour scale."""
SHADES = " ·:-=+*#%@"
"""Ten steps from nothing to the largest weight, for terminals without colour."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """A heatmap with labels on both axes, as wide as the console allows.

    If there is room for three columns per cell, the cells contain their numbers, below words that lie flat: a column is
    as wide as its word, and the longest words are cut. Where too little would be left of them, columns have the numbers
    of their units, which stand beside the rows' words too. Otherwise, or if there are too many rows, two rows share a
    line of half blocks, with the upper row's label on the left and the lower row's on the right; what does not fit is
    pooled, with a note. Without colour the cells are numbers, or shades of characters. ``scale`` adds the scale if the
    cells contain no numbers.
    """

    heatmap: Heatmap
    scale: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fitting = _fitting(self.heatmap, options)
        if fitting is None:
            yield from self._narrow(console, options)
            return
        shown, label, cells, header = fitting
        yield Text((" " * (label + 1) + header).rstrip())
        left = shown.named or shown.rows != self.heatmap.rows  # numbers stand below each other
        yield from _numbered(shown, label, cells, left=left, plain=_plain(console))
        if shown.columns != self.heatmap.columns:
            yield from legend(self.heatmap, options.max_width)
        if shown.pooled:
            yield Text(shown.pooled, "dim")

    def _narrow(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the map without numbers in its cells."""
        plain = _plain(console)
        label = _widest(_numbered_names(self.heatmap, 0), options, named=self.heatmap.named)
        room = options.max_width - label - 1
        margin = 0 if plain else label + 1  # the labels of the lower rows
        if room - margin < max(self.heatmap.values.shape) <= room:
            margin = 0  # all words, every second without its name, say more than a pooled map
        columns = max(1, room - margin)
        pooled = pool(self.heatmap, columns, columns)
        yield Text(" " * (label + 1) + ticks(_marks(pooled)))
        yield from _shaded(pooled, label) if plain else _halved(pooled, label, lower=margin > 0)
        if self.scale:
            yield _scale(pooled, label, room, plain)
        if not (plain or margin):
            yield Text("each line is two rows, named by the upper", "dim")
        if pooled.across == 1:
            yield from legend(pooled, options.max_width)
        if pooled.pooled:
            yield Text(pooled.pooled, "dim")


def _fitting(heatmap: Heatmap, options: ConsoleOptions) -> tuple[Heatmap, int, list[int], str] | None:
    """The map with the labels that fit, the columns of its row labels and of its cells, and the line above them.

    None if there is no room for numbers in the cells.
    """
    shown, needed = _with_numbers(heatmap) if heatmap.pooled else heatmap, _needed(heatmap)
    label = _widest(shown.rows, options, named=shown.named)
    room = options.max_width - label - 1
    if len(shown.rows) > room:
        return None
    cells = _cells(shown.columns, room, needed)
    if cells and all(cell > min(width(name), _SHORT) for cell, name in zip(cells, shown.columns, strict=True)):
        return shown, label, cells, _flat(shown.columns, cells)
    if heatmap.numbers is not None:
        shown = by_numbers(heatmap)
        columns = shown.columns
        label = _widest(shown.rows, options, named=shown.named)
        needed = max(needed, 1 + max(map(len, columns)))
        cells = _cells(columns, options.max_width - label - 1, needed)
        return (shown, label, cells, _flat(columns, cells)) if cells else None
    return (shown, label, [needed] * len(cells), ticks(shown.columns, needed)) if cells else None


def _cells(names: Sequence[str], room: int, needed: int) -> list[int]:
    """The columns of cells that are as wide as their ``names`` as far as there is ``room``; none if there is not.

    All get what their numbers have ``needed``; the rest goes to them in turn, so that the longest names are cut.
    """
    least = max(needed, _CELL) if _CELL * len(names) <= room else needed
    cells = [least] * len(names)
    wanted = [max(least, 1 + min(width(name), _LABEL - 1)) for name in names]
    spare = room - sum(cells)
    while spare > 0 and cells != wanted:
        for place, most in enumerate(wanted):
            if cells[place] < most and spare > 0:
                cells[place] += 1
                spare -= 1
    return cells if spare >= 0 else []


def _flat(names: Sequence[str], cells: Sequence[int]) -> str:
    return "".join(_in_cell(name, cell) for name, cell in zip(names, cells, strict=True))


def legend(heatmap: Heatmap, room: int) -> Iterator[Text]:
    """Yield the words behind the numbers of the columns, where no row has their word."""
    if heatmap.numbers is None or heatmap.named:
        return
    rows, columns = (
        dict(zip(numbers.tolist(), labels, strict=True))
        for numbers, labels in zip(heatmap.numbers, (heatmap.rows, heatmap.columns), strict=True)
    )
    if columns.items() <= rows.items():
        return
    line = Text("  columns:", "dim")
    for number, label in columns.items():
        entry = f" {number} {shorten(label, _LABEL)}"
        if cell_len(line.plain) + cell_len(entry) > room:
            yield line
            line = Text("   ", "dim")
        line.append(entry)
    yield line


def _plain(console: Console) -> bool:
    """Whether the console has too few colours for a heatmap, or no half blocks."""
    if not console.encoding.startswith("utf"):
        return True
    return console.no_color or console.color_system in (None, "standard", "windows")


def _widest(names: Sequence[str], options: ConsoleOptions, *, named: bool) -> int:
    """Return the columns of the row labels ``names``; sentences and passages may be longer than words."""
    most = (_NAME, options.max_width * 2 // 5) if named else (_LABEL, options.max_width // 4)
    return min(max(map(width, names)), *most)


def _numbered_names(heatmap: Heatmap, axis: int) -> Sequence[str]:
    """Return the labels of the rows (``axis`` 0) or columns, after the numbers of their units if they have some."""
    labels = (heatmap.rows, heatmap.columns)[axis]
    if heatmap.numbers is None or heatmap.named:
        return labels
    numbers = heatmap.numbers[axis]
    digits = len(str(numbers[-1]))
    return [f"{number:>{digits}} {label}" for number, label in zip(numbers, labels, strict=True)]


def by_numbers(heatmap: Heatmap) -> Heatmap:
    """The map with the numbers of its units above the columns, which also stand before the labels of the rows."""
    columns = heatmap.columns if heatmap.numbers is None else tuple(map(str, heatmap.numbers[1]))
    return replace(heatmap, rows=tuple(_numbered_names(heatmap, 0)), columns=columns)


def _with_numbers(heatmap: Heatmap) -> Heatmap:
    rows, columns = (tuple(_numbered_names(heatmap, axis)) for axis in (0, 1))
    return replace(heatmap, rows=rows, columns=columns)


def _row_label(name: str, label: int, heatmap: Heatmap) -> str:
    """Align words to the map; align numbers with each other, followed by their words."""
    return fit_right(name, label) if heatmap.numbers is None and not heatmap.named else fit(name, label)


def _marks(heatmap: Heatmap) -> Sequence[str]:
    """Return the labels of columns too narrow for a number: those of units are numbers, in a pooled map with words."""
    if heatmap.numbers is None:
        return heatmap.columns
    if heatmap.across > 1 and not heatmap.named:
        return [name.strip() for name in _numbered_names(heatmap, 1)]
    return [str(number) for number in heatmap.numbers[1]]


def ticks(names: Sequence[str], cell: int = 1) -> str:
    """Return ``names`` at equal steps as far as they have room, each where its column begins."""
    step = -(-(min(max(map(width, names)), _TICK) + 2) // cell)
    line = ""
    for i in range(0, len(names), step):
        room = min(step, len(names) - i) * cell
        number, _, _ = names[i].partition(" ")
        line += fit(_MARK + (shorten(names[i], room - 2) if room - 2 >= len(number) else ""), room)
    return line.rstrip()


def _in_cell(text: str, cell: int) -> str:
    """Align ``text`` in a cell with the last digit of its number."""
    if not text:
        return " " * cell
    room = cell - 1 if cell > 2 else cell
    return fit_right(text, room) + " " * (cell - room)


def _numbered(heatmap: Heatmap, label: int, cells: Sequence[int], *, left: bool, plain: bool) -> Iterator[Text]:
    colours = palette.value_colours(heatmap.values, heatmap.low, heatmap.high)
    for name, row, tints in zip(heatmap.rows, heatmap.values, colours, strict=True):
        line = Text((fit if left else fit_right)(name, label) + " ")
        for value, tint, cell in zip(row, tints, cells, strict=True):
            number = _in_cell(cell_number(float(value), heatmap), cell)
            if np.isnan(value):
                line.append(number, "dim")
            elif plain:
                line.append(number if number.strip() else _in_cell("·", cell))
            else:
                ink = "#000000" if palette.is_light(tint) else "#ffffff"
                line.append(number, Style(color=ink, bgcolor=_hex(tint)))
        yield line


def _needed(heatmap: Heatmap) -> int:
    """Return the columns that a cell with its number takes."""
    return 1 + max(len(cell_number(float(value), heatmap)) for value in heatmap.values.flat)


def cell_number(value: float, heatmap: Heatmap) -> str:
    """Format a value in at most three columns: a weight in percent, others with a decimal if it fits."""
    if np.isnan(value):
        return "–"
    if value < 0:
        shown = cell_number(-value, heatmap)
        return f"−{shown}" if shown.strip("0.") else shown
    value *= 10.0**heatmap.exponent
    if heatmap.percent:
        return f"{100 * value:.0f}" if value >= 0.005 else ""
    if heatmap.blank and value < 0.05:
        return ""
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _halved(heatmap: Heatmap, label: int, *, lower: bool) -> Iterator[Text]:
    """Yield two rows per line: a half block in the upper row's colour on a background in the lower row's."""
    names = _numbered_names(heatmap, 0)
    colours = palette.value_colours(heatmap.values, heatmap.low, heatmap.high)
    for i in range(0, len(colours), 2):
        line = Text(_row_label(names[i], label, heatmap) + " ")
        below = colours[i + 1] if i + 1 < len(colours) else [None] * colours.shape[1]
        for top, bottom in zip(colours[i], below, strict=True):
            line.append("▀", Style(color=_hex(top), bgcolor=None if bottom is None else _hex(bottom)))
        if lower and i + 1 < len(colours):
            line.append(" " + shorten(names[i + 1], label))
        yield line


def _shaded(heatmap: Heatmap, label: int) -> Iterator[Text]:
    """Yield one row per line; the larger the weight, the darker the character."""
    steps = np.clip((heatmap.values - heatmap.low) / (heatmap.high - heatmap.low or 1), 0, 1) * (len(SHADES) - 1)
    for name, row in zip(_numbered_names(heatmap, 0), np.nan_to_num(steps).round().astype(int), strict=True):
        yield Text(_row_label(name, label, heatmap) + " " + "".join(SHADES[step] for step in row))


def _hex(colour: palette.Colours) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _scale(heatmap: Heatmap, label: int, room: int, plain: bool) -> Text:
    """Return the colours, or shades, between the lowest and the highest value."""
    low, high = (cell_number(value, heatmap) or "0" for value in (heatmap.low, heatmap.high))
    line = Text(" " * (label + 1) + f"{low} ")
    if plain:
        line.append(SHADES)
    else:
        for tint in palette.value_colours(np.linspace(0, 1, max(2, min(_SCALE, room - 8))), 0, 1):
            line.append(" ", Style(bgcolor=_hex(tint)))
    unit = f" × {heatmap.unit}" if heatmap.exponent else " %" if heatmap.percent else ""
    return line.append(f" {high}{unit}")
