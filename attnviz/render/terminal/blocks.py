"""Draw a heatmap with the characters of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

from attnviz.render import palette
from attnviz.render.heatmap import Heatmap, pool
from attnviz.render.labels import fit, fit_right, letters, shorten, width

_LABEL = 14
"""The most columns of a row label, and of a cell; longer words are cut."""
_NAME = 48
"""The most columns of a row label that is the number and the first words of a passage."""
_TICK = 14
"""The most columns of a label above a map whose columns are too narrow for labels of their own."""
_MARK = "╷"
"""The sign before such a label, at the beginning of its column."""
_TALL = 10
"""The most lines of vertical column labels."""
_SCALE = 24
"""The columns of the colour scale."""
SHADES = " ·:-=+*#%@"
"""Ten steps from nothing to the largest weight, for terminals without colour."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """A heatmap with labels on both axes, as wide as the console allows.

    If there is room for three columns per cell, the cells contain their numbers. Otherwise, or if there are too many
    rows, two rows share a line of half blocks, with the upper row's label on the left and the lower row's on the right;
    what does not fit is pooled, with a note. Without colour the cells are numbers, or shades of characters. If the
    cells contain no numbers, labels include the numbers of their units, with which a reader can zoom in, and ``scale``
    adds the scale.
    """

    heatmap: Heatmap
    scale: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = _with_numbers(self.heatmap) if self.heatmap.pooled else self.heatmap
        label = _widest(shown.rows, options, named=shown.named)
        room = options.max_width - label - 1
        cell = min(room // len(shown.columns), _LABEL)
        # Horizontal labels read best; cells are as wide as they need if there is room.
        widest = max(4, 1 + max(map(width, shown.columns)))
        if len(shown.rows) <= room and cell > 1 and cell >= _needed(shown):
            yield from _numbered(shown, label, widest if widest <= cell else min(cell, 4), _plain(console))
            if shown.pooled:
                yield Text(shown.pooled, "dim")
        else:
            yield from self._narrow(console, options)

    def _narrow(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the map without numbers in its cells."""
        plain = _plain(console)
        label = _widest(_numbered_names(self.heatmap, 0), options, named=self.heatmap.named)
        room = options.max_width - label - 1
        margin = 0 if plain else label + 1  # the labels of the lower rows
        thin = 2 if any(width(letter) > 1 for text in self.heatmap.columns for letter in letters(text, _TALL)) else 1
        columns = max(1, (room - margin) // thin)
        pooled = pool(self.heatmap, columns, columns)
        yield from _narrow_labels(pooled, label, thin)
        yield from (_shaded if plain else _halved)(pooled, label, thin)
        if self.scale:
            yield _scale(pooled, label, room, plain)
        if pooled.pooled:
            yield Text(pooled.pooled, "dim")


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


def _with_numbers(heatmap: Heatmap) -> Heatmap:
    rows, columns = (tuple(_numbered_names(heatmap, axis)) for axis in (0, 1))
    return replace(heatmap, rows=rows, columns=columns)


def _row_label(name: str, label: int, heatmap: Heatmap) -> str:
    """Align words to the map; align numbers with each other, followed by their words."""
    return fit_right(name, label) if heatmap.numbers is None and not heatmap.named else fit(name, label)


def _narrow_labels(heatmap: Heatmap, label: int, cell: int) -> Iterator[Text]:
    """Yield the labels of columns too narrow for a number: unit numbers at intervals, with their words in a pooled map.

    If each column is a single word, all words follow below.
    """
    if heatmap.numbers is not None:
        pooled = heatmap.across > 1 and not heatmap.named
        names = _numbered_names(heatmap, 1) if pooled else [str(number) for number in heatmap.numbers[1]]
        yield Text(" " * (label + 1) + ticks([name.strip() for name in names], cell))
        if pooled or heatmap.named:
            return
    yield from _column_labels(heatmap, label, cell)


def ticks(names: Sequence[str], cell: int) -> str:
    """Return ``names`` at equal steps as far as they have room, each where its column begins."""
    step = -(-(min(max(map(width, names)), _TICK) + 2) // cell)
    line = ""
    for i in range(0, len(names), step):
        room = min(step, len(names) - i) * cell
        number, _, _ = names[i].partition(" ")
        line += fit(_MARK + (shorten(names[i], room - 2) if room - 2 >= len(number) else ""), room)
    return line.rstrip()


def _column_labels(heatmap: Heatmap, label: int, cell: int) -> Iterator[Text]:
    """Yield the column labels: horizontal if they fit their cells, otherwise vertical, ending at the map."""
    if cell > 2 and all(width(text) < cell for text in heatmap.columns):
        stacks = [[text] for text in heatmap.columns]
    else:
        stacks = [letters(text, _TALL) for text in heatmap.columns]
    tall = max(map(len, stacks))
    for line in range(tall):
        parts = [stack[line - tall] if line >= tall - len(stack) else "" for stack in stacks]
        yield Text((" " * (label + 1) + "".join(_in_cell(part, cell) for part in parts)).rstrip())


def _in_cell(text: str, cell: int) -> str:
    """Align ``text`` in a cell with the last digit of its number."""
    if not text:
        return " " * cell
    room = cell - 1 if cell > 2 else cell
    return fit_right(text, room) + " " * (cell - room)


def _numbered(heatmap: Heatmap, label: int, cell: int, plain: bool) -> Iterator[Text]:
    yield from _column_labels(heatmap, label, cell)
    colours = palette.value_colours(heatmap.values, heatmap.low, heatmap.high)
    for name, row, tints in zip(heatmap.rows, heatmap.values, colours, strict=True):
        line = Text((fit if heatmap.named else fit_right)(name, label) + " ")
        for value, tint in zip(row, tints, strict=True):
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


def _halved(heatmap: Heatmap, label: int, cell: int) -> Iterator[Text]:
    """Yield two rows per line: a half block in the upper row's colour on a background in the lower row's."""
    names = _numbered_names(heatmap, 0)
    colours = palette.value_colours(heatmap.values, heatmap.low, heatmap.high)
    for i in range(0, len(colours), 2):
        line = Text(_row_label(names[i], label, heatmap) + " ")
        lower = colours[i + 1] if i + 1 < len(colours) else [None] * colours.shape[1]
        for top, bottom in zip(colours[i], lower, strict=True):
            line.append("▀" * cell, Style(color=_hex(top), bgcolor=None if bottom is None else _hex(bottom)))
        if i + 1 < len(colours):
            line.append(" " + shorten(names[i + 1], label))
        yield line


def _shaded(heatmap: Heatmap, label: int, cell: int) -> Iterator[Text]:
    """Yield one row per line; the larger the weight, the darker the character."""
    steps = np.clip((heatmap.values - heatmap.low) / (heatmap.high - heatmap.low or 1), 0, 1) * (len(SHADES) - 1)
    for name, row in zip(_numbered_names(heatmap, 0), np.nan_to_num(steps).round().astype(int), strict=True):
        yield Text(_row_label(name, label, heatmap) + " " + "".join(SHADES[step] * cell for step in row))


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
