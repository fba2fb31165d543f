"""The tables of ``attnviz show``: what each word, passage or new token looks at most, and the numbers of passages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from attnviz.analysis.text.links import Attended, Link
from attnviz.analysis.text.shown_maps import HeadMap
from attnviz.analysis.text.summary import Summary
from attnviz.analysis.text.units import Axis, Reading
from attnviz.record import ATTENTION, Measure
from attnviz.render.labels import fit, head_name, shorten, width
from attnviz.render.terminal.notes import Note

LABEL = 17
"""The most columns of a word in a list; longer ones are cut."""
_WORDS = 12
"""The most rows that are listed with their keys, unless all are asked for, or some words by name."""
_NAME = 12
"""The fewest columns of a passage in a list: its number and its line."""
_LEGEND = 30
"""The most passages that are named below a map."""


def format_weight(value: float, *, per_token: bool) -> str:
    """Format a weight: ``0.46``; or ``0.0046`` if it is per token."""
    return f"{value:.2g}" if per_token and value < 0.095 else f"{value:.2f}"


def is_unbounded(summary: Summary) -> bool:
    """Return whether weights may be of any size: they are per token, no shares, or spread over all layers' paths."""
    measure = summary.units.measure
    return summary.observation.request.per_token or measure.by_layer or not measure.share


def widest(labels: Iterable[str], most: int = LABEL) -> int:
    """Return the columns of the widest of ``labels``, at most ``most``."""
    return min(max(map(width, labels), default=0), most)


def baseline_note(summary: Summary) -> str:
    """Return what the numbers in brackets are; empty if there are none."""
    if not summary.units.keys.lines:
        return ""
    return "in brackets: other tokens on average"


def attended_table(summary: Summary, *, every: bool) -> RenderableType:
    """Return a table of each unit's keys: those of its best head, and those by the average over all heads."""
    units, rows = summary.units, summary.attended
    listed = rows if every else rows[:_WORDS]
    words = summary.observation.named_links is not None
    firsts = [row.query if words else units.queries.names[row.query_index] for row in listed]
    looks = _Looks("word" if words else units.kind, firsts, listed, units.keys, is_unbounded(summary), units.measure)
    return _cut(
        looks,
        len(listed),
        len(rows),
        f"{units.kind}s; {'' if units.queries.lines else '--token WORD shows any, '}--top all shows all",
    )


def received_table(summary: Summary, *, every: bool) -> RenderableType:
    """Return such a table of what looks at each unit."""
    units, rows = summary.units, summary.received
    listed = rows if every else rows[:_WORDS]
    firsts = [units.keys.names[row.query_index] for row in listed]
    looks = _Looks(units.kind, firsts, listed, units.queries, is_unbounded(summary), units.measure, received=True)
    return _cut(looks, len(listed), len(rows), f"{units.kind}s; --token WORD shows any, --top all shows all")


def generated_table(summary: Summary, *, every: bool) -> RenderableType:
    """Return such a table for each generated token, by the query that predicted it."""
    pieces, rows = summary.pieces, summary.generated
    keys = summary.units.keys if summary.units.keys.lines else pieces.keys
    listed = rows if every else rows[:_WORDS]
    firsts = [pieces.queries.names[row.query_index + 1] for row in listed]
    looks = _Looks("new token", firsts, listed, keys, is_unbounded(summary), summary.units.measure)
    return _cut(looks, len(listed), len(rows), "new tokens; --top all shows all")


def _cut(table: RenderableType, listed: int, all_: int, what: str) -> RenderableType:
    return table if listed == all_ else Group(table, Note(f"… {listed} of {all_} {what}"))


@dataclass(frozen=True, eq=False)
class _Column:
    """A column of keys: for each row of the table the names of its keys, with what is said of each."""

    title: str
    rows: Sequence[Sequence[tuple[str, str]]]

    @property
    def numbers(self) -> int:
        """The columns of the terminal that the longest number takes, with the space before it."""
        return 1 + max((len(number) for row in self.rows for _, number in row), default=0)

    def widest(self, most: int) -> int:
        """Return the columns that the names take, at most ``most``."""
        return widest((name for row in self.rows for name, _ in row), most)

    def cell(self, place: int, size: int) -> str:
        """Return the keys of one row, a line each, with names of this size."""
        return "\n".join(f"{fit(name, size)} {number}" for name, number in self.rows[place]) or "–"


@dataclass(frozen=True, eq=False)
class _Looks:
    """A row for each of ``firsts`` with its ``keys``; names of passages take the available room.

    With ``received``, the ``keys`` are what looks at the firsts.
    """

    title: str
    firsts: Sequence[str]
    rows: Sequence[Attended]
    keys: Axis
    per_token: bool
    measure: Measure = ATTENTION
    received: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = self._names()
        best = [[self._best(row, place) for place in range(len(row.best))] for row in self.rows]
        average = [[self._average(row, place) for place in range(len(row.average))] for row in self.rows]
        columns = [
            _Column(title, [[(names[key], number) for key, number in row] for row in found])
            for title, found in zip(self._titles(), (best, average), strict=True)
        ]
        yield from self._tables(columns[:1] if self.measure.cumulative else columns, options.max_width)

    def _titles(self) -> tuple[str, str]:
        if self.measure.cumulative:
            return "through all layers", ""
        if self.measure.by_layer:
            return "in its best layer", "on average over all layers"
        return "in its best head", "on average over all heads"

    def _tables(self, columns: Sequence[_Column], wide: int) -> Iterator[Table]:
        """Yield one table of all ``columns``; where it is wider than ``wide`` columns, one for each below the other."""
        room = wide - 2 - widest(self.firsts) - sum(2 + column.numbers for column in columns)
        most = max(_NAME, room // len(columns)) if self.keys.lines else LABEL
        if len(columns) == 1:
            most = max(1, min(most, room))
        sizes = [column.widest(most) for column in columns]
        if len(columns) > 1 and sum(sizes) > room:
            for column in columns:
                yield from self._tables([column], wide)
            return
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column(f"  {self.title}", min_width=2 + widest(self.firsts))
        for column, size in zip(columns, sizes, strict=True):
            table.add_column(column.title, min_width=size + column.numbers)  # a title breaks, never a key
        for place, first in enumerate(self.firsts):
            cells = [column.cell(place, size) for column, size in zip(columns, sizes, strict=True)]
            table.add_row(Text(f"  {shorten(first, LABEL)}"), *map(Text, cells))
        yield table

    def _names(self) -> Sequence[str]:
        """Return the names of the keys; those of passages include their lines."""
        if not self.keys.lines:
            return self.keys.names
        labelled = zip(self.keys.lines, self.keys.labels, strict=True)
        return [f"{number} (line {line}) {label}" for number, (line, label) in enumerate(labelled)]

    def _best(self, row: Attended, place: int) -> tuple[int, str]:
        link = row.best[place]
        return (
            link.query_index if self.received else link.key_index,
            f"{self._number(link.weight, row.best_baselines, place)} {self._head(link)}",
        )

    def _head(self, link: Link) -> str:
        return head_name(link.layer, link.head, self.measure)

    def _average(self, row: Attended, place: int) -> tuple[int, str]:
        key, value = row.average[place]
        return key, self._number(value, row.average_baselines, place)

    def _number(self, value: float, baselines: Sequence[float | None], place: int) -> str:
        """Format the weight, with its baseline in brackets if there is one."""
        number = format_weight(value, per_token=self.per_token)
        baseline = baselines[place] if baselines else None
        return number if baseline is None else f"{number} ({format_weight(baseline, per_token=self.per_token)})"


def legend(units: Reading, head: HeadMap) -> Iterator[RenderableType]:
    """Yield the passages behind the numbers of a map's columns, if its rows do not name them."""
    keys, columns = units.keys, head.columns.tolist()
    if not keys.lines or (units.one_text and set(columns) <= set(head.rows.tolist())):
        return
    digits, lines = (max(len(str(each)) for each in numbers) for numbers in (columns, keys.lines))
    for number in columns[:_LEGEND]:
        line = Text(
            f"  {number:>{digits}}  line {keys.lines[number]:<{lines}}  ", "dim", no_wrap=True, overflow="ellipsis"
        )
        yield line.append(shorten(keys.labels[number], 60), "not dim")
    if len(columns) > _LEGEND:
        yield Text(f"  … {_LEGEND} of {len(columns)} {units.kind}s", "dim")
