"""An answer in the terminal: a table whose heads have names, and whose ranked column has bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from attnviz.analysis.table import Column, Table
from attnviz.errors import count_of
from attnviz.render.labels import clean, fit, fit_right
from attnviz.render.palette import BAR, HEAD
from attnviz.render.terminal.notes import Note
from attnviz.render.values import formatted

_BAR = 16
_LABEL = 18
"""The most columns of a text, where there is not room for more."""
_LEAST = 6


def answer_parts(table: Table, most: int | None, above: Iterable[RenderableType] = ()) -> Iterator[RenderableType]:
    """Yield what a terminal shows of a ``table``: at most so many rows, and how many more there are.

    What is ``above`` comes between the title and the rows.
    """
    model = clean(str(table.about.get("model", "")).rpartition("/")[2])
    yield Text(clean(table.title), "bold").append(f"  {model}" if model else "", "not bold dim")
    yield from above
    yield Rows(table.top(most))
    if most is not None and len(table) > most:
        yield Note(f"{most:,} of {count_of(len(table), 'row')}; --top all lists them all.")
    for note in table.notes:
        yield Note(clean(note))


class Rows:
    """The rows of a table, a line each: what does not fit on a narrow console is left out, and named."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self.table
        if not len(table):
            yield Text("  nothing was found", "dim")
            return
        columns = [each for each in table.columns if each.shown and each.name not in _names(table)]
        cells = {each.name: [formatted(value, each.kind) for value in table[each.name].tolist()] for each in columns}
        heads = [f"L{layer} H{head}" for layer, head in _heads(table)]
        kept, left = self._fitting(columns, cells, heads, options.max_width)
        widths = {each.name: _width(each, cells[each.name], options.max_width) for each in kept}
        bar = self._room(kept, widths, heads, options.max_width)
        yield self._header(kept, widths, heads)
        for row in range(len(table)):
            yield self._line(row, kept, cells, widths, heads, bar)
        if left:
            yield Note(f"No room for {', '.join(each.name for each in left)}: widen the window, or --json has all.")

    def _fitting(
        self, columns: Sequence[Column], cells: dict[str, list[str]], heads: Sequence[str], room: int
    ) -> tuple[list[Column], list[Column]]:
        """The columns that there is room for, the ranked one and the texts before the others; and those left out."""
        order = sorted(columns, key=lambda each: (each.name != self.table.ranked, each.kind != "text" or bool(each.of)))
        kept: list[Column] = []
        used = 2 + (9 if heads else 0)
        for each in order:
            wide = _width(each, cells[each.name], room) + 2
            if used + wide <= room or not kept:
                kept.append(each)
                used += wide
        return [each for each in columns if each in kept], [each for each in columns if each not in kept]

    def _room(self, kept: Sequence[Column], widths: dict[str, int], heads: Sequence[str], room: int) -> int:
        used = 2 + (9 if heads else 0) + sum(widths[each.name] + 2 for each in kept)
        return min(_BAR, room - used - 1) if self.table.ranked in widths and room - used > _LEAST else 0

    def _header(self, kept: Sequence[Column], widths: dict[str, int], heads: Sequence[str]) -> Text:
        line = Text("  ", "dim", no_wrap=True, overflow="crop")
        line.append(f"{'head':<9}" if heads else "")
        for each in kept:
            name = each.name.replace("_", " ")
            line.append(fit(name, widths[each.name]) if each.kind == "text" else fit_right(name, widths[each.name]))
            line.append("  ")
        return line

    def _line(
        self, row: int, kept: Sequence[Column], cells: dict[str, list[str]], widths: dict[str, int],
        heads: Sequence[str], bar: int,
    ) -> Text:  # fmt: skip
        line = Text("  ", no_wrap=True, overflow="crop")
        if heads:
            line.append(f"{heads[row]:<9}", HEAD)
        for each in kept:
            cell, wide = cells[each.name][row], widths[each.name]
            style = "bold" if each.name == self.table.ranked else ""
            line.append(fit(cell, wide) if each.kind == "text" else fit_right(cell, wide), style).append("  ")
        return line.append(self._bar(row, bar), HEAD if self._takes(row) else BAR) if bar else line

    def _takes(self, row: int) -> bool:
        """Whether the ranked value has a sign, and is below zero."""
        ranked = self.table.ranked
        return bool(self.table.column(ranked).signed and self.table[ranked][row] < 0)

    def _bar(self, row: int, room: int) -> str:
        values = self.table[self.table.ranked]
        sizes = abs(np.nan_to_num(np.asarray(values, float)))
        length = float(sizes[row] / (sizes.max() or 1.0)) * room
        return "█" * int(length) + "▌" * (length % 1 >= 0.5)


def _names(table: Table) -> tuple[str, ...]:
    return ("layer", "head") if table.of_heads else ()


def _heads(table: Table) -> list[tuple[int, int]]:
    return list(zip(table["layer"].tolist(), table["head"].tolist(), strict=True)) if table.of_heads else []


def _width(column: Column, cells: Sequence[str], room: int) -> int:
    widest = max(map(cell_len, (*cells, column.name)))
    return min(widest, max(_LEAST, _LABEL if room < 120 else 2 * _LABEL)) if column.kind == "text" else widest
