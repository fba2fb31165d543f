"""Draw an answer: a map of layers and heads where its rows are about heads, and its first rows as bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attnviz.analysis.table import Table
from attnviz.errors import UsageError
from attnviz.render.figure import sheet
from attnviz.render.figure.fonts import shorten_to, text_width
from attnviz.render.figure.relations import draw_relations
from attnviz.render.figure.roles import draw_clusters, draw_roles
from attnviz.render.figure.sheet import EDGE, LABEL, SMALL, Sheet
from attnviz.render.figure.style import Style, own_settings
from attnviz.render.labels import clean
from attnviz.render.values import formatted

_ROWS = 20
"""The most rows that are drawn as bars."""
_LINE = 0.17
"""Inches of a row."""
_MAP = 2.6
"""The most inches across a map of heads."""
_BARS = 1.6
"""Inches of the longest bar."""
_WIDE = 7.0
_OWN: dict[str, Callable[[Table, Style], Figure]] = {"relations": draw_relations}
"""Answers that have a picture of their own."""


@own_settings()
def draw_answer(table: Table, style: Style | None = None) -> Figure:
    """Draw the ranked column of a ``table``: of all heads as a map, of its first rows as bars; or its own picture.

    Raises:
        UsageError: the table has no rows, or none that can be ranked.
    """
    style = style or Style()
    if table.name == "heads" and not table.ranked and len(table):
        return draw_clusters(table, style) if "cluster" in table.values else draw_roles(table, style)
    if table.name in _OWN and len(table) and table.about.get("heads") != "all":
        return _OWN[table.name](table, style)
    if not table.ranked or not len(table):
        raise UsageError(
            "there is nothing to draw: the table has no ranked rows", hint="Write .csv, .json or .parquet."
        )
    width = style.given_width or _WIDE
    shown = table.top(_ROWS)
    heads = table.heads
    grid = _by_head(heads) if heads.of_heads and len(heads) else None
    beside = grid is not None and width > 5
    across = min(_MAP, width * 0.4) if beside else width - 2 * EDGE - 0.4
    down = min(across * len(grid.layers) / max(len(grid.heads), 1), 3.4) if grid is not None else 0.0
    about = table.column(table.ranked)
    model = clean(str(table.about.get("model") or "")).rpartition("/")[2]
    notes = [f"{about.name.replace('_', ' ')}: {about.about}", *([f"Model: {model}"] if model else [])]
    if about.signed:
        notes[:0] = _texts(table, 3 * width)
    if len(table) > len(shown):
        notes.append(f"The first {len(shown)} of {len(table):,} rows.")
    around = sheet.frame(style, table.title, notes, width)
    bars = _LINE * len(shown) + 0.1
    inside = max(down + 0.45, bars) if beside else (down + 0.55 if grid is not None else 0) + bars
    page = sheet.new_sheet(style, around, around.above + inside + around.below)
    top, left = around.above + 0.05, EDGE
    if grid is not None:
        _draw_map(page, grid, (EDGE + 0.3, top + 0.2, across, down), style)
        left, top = (EDGE + 0.3 + across + 0.35, top) if beside else (EDGE, top + down + 0.5)
    _draw_bars(page, shown, (left, top, width - EDGE - left, bars), style)
    return page.figure


def _texts(table: Table, room: float) -> list[str]:
    """The texts that a ``table`` is of, each in so many inches."""
    names = [name for name in ("text", "clean", "corrupt") if name in table.about]
    texts = [" ".join(clean(str(table.about[name])).split()) for name in names]
    return [f"{name.capitalize()}: {shorten_to(text, SMALL, room)}" for name, text in zip(names, texts, strict=True)]


@dataclass(frozen=True, eq=False)
class _Grid:
    """The names of layers and heads, and the largest value of each head (L, H); NaN where it has none."""

    layers: list[str]
    heads: list[str]
    values: NDArray[np.float64]
    signed: bool


def _by_head(table: Table) -> _Grid:
    """The heads of a ``table``; where they are of several maps, those of each map below each other."""
    kinds = table["map"].tolist() if "map" in table.values else [""] * len(table)
    places = list(zip(map(str, kinds), table["layer"].tolist(), strict=True))
    layers, heads = sorted(set(places), key=lambda place: (place[0] == "cross", place)), sorted(set(table["head"]))
    found = np.full((len(layers), len(heads)), np.nan)
    cells = [layers.index(place) for place in places], [heads.index(head) for head in table["head"].tolist()]
    signed, values = table.column(table.ranked).signed, np.asarray(table[table.ranked], float)
    if signed:  # the rows that come first are the largest
        found[cells[0][::-1], cells[1][::-1]] = values[::-1]
    else:
        np.fmax.at(found, cells, values)
    names = [f"L{layer}{f' {kind}' if kind == 'cross' else ''}" for kind, layer in layers]
    return _Grid(names, [f"H{head}" for head in heads], found, signed)


def _draw_map(page: Sheet, grid: _Grid, box: tuple[float, float, float, float], style: Style) -> None:
    axes = page.axes(*box)
    low, high = float(min(np.nanmin(grid.values), 0)), float(np.nanmax(grid.values))
    norm, colours = Normalize(low, high or 1), sheet.colours_of(style)
    if grid.signed:
        norm, colours = sheet.two_sided(style, max(-low, high) or 1.0)
    axes.imshow(grid.values, cmap=colours, norm=norm, interpolation="nearest", aspect="auto")
    axes.xaxis.tick_top()
    for axis, names, inches in ((axes.xaxis, grid.heads, box[2]), (axes.yaxis, grid.layers, box[3])):
        room = text_width("H00 ", SMALL) if axis is axes.xaxis else 0.12
        step = max(1, int(np.ceil(room * len(names) / max(inches, 0.01))))
        axis.set_ticks(list(range(0, len(names), step)), names[::step], size=SMALL)


def _draw_bars(page: Sheet, table: Table, box: tuple[float, float, float, float], style: Style) -> None:
    """Write the rows, each with a bar of its ranked value."""
    left, top, across, _ = box
    kind = table.column(table.ranked).kind
    texts = [
        each.name for each in table.columns if each.kind == "text" and each.shown and each.of in ("", table.ranked)
    ]
    names = [_name(table, row, texts) for row in range(len(table))]
    numbers = [formatted(value, kind) for value in table[table.ranked].tolist()]
    wide = max(text_width(number, LABEL) for number in numbers) + 0.08
    room = max(across - wide, 0.4)
    longest = min(max(text_width(name, LABEL) for name in names) + 0.1, room * 0.72)
    bar = min(_BARS, room - longest)
    values = np.nan_to_num(np.asarray(table[table.ranked], float))
    colours = [sheet.colours_of(style)(0.62)] * len(values)
    if table.column(table.ranked).signed:
        colours = [sheet.two_sided(style, 1.0)[1](0.19 if value < 0 else 0.81) for value in values]
        values = abs(values)
    values = values.clip(0)
    most = values.max() or 1.0
    axes = page.axes(left + longest, top, bar, _LINE * len(table))
    axes.barh(np.arange(len(table)), values / most, 0.62, color=colours)
    axes.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    for row, (name, number) in enumerate(zip(names, numbers, strict=True)):
        middle = top + _LINE * (row + 0.5)
        text = shorten_to(name, LABEL, longest - 0.06)
        page.write(left, middle, text, va="center")
        page.write(left + longest + bar + 0.06, middle, number, va="center", color=style.soft)


def _name(table: Table, row: int, texts: list[str]) -> str:
    """What a row is about: its head, and its words."""
    head = f"L{table['layer'][row]} H{table['head'][row]}  " if table.of_heads else ""
    words = [clean(str(table[name][row])) for name in texts if table[name][row] not in (None, "")]
    arrow = " → " if texts[:2] == ["query", "key"] else " · "
    return head + arrow.join(words)
