"""Draw an answer: a map of layers and heads where its rows are about heads, and its first rows as bars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from attnviz.analysis.table import Table
from attnviz.errors import UsageError
from attnviz.render.figure import sheet
from attnviz.render.figure.contributions import draw_words
from attnviz.render.figure.fonts import shorten_to, text_width
from attnviz.render.figure.head_maps import draw_maps, maps_of
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
    if table.name == "contributions" and "word_index" in table.values and "map" not in table.values and len(table):
        return draw_words(table, style)
    if not table.ranked or not len(table):
        raise UsageError(
            "there is nothing to draw: the table has no ranked rows", hint="Write .csv, .json or .parquet."
        )
    width = style.given_width or _WIDE
    shown = table.top(_ROWS)
    maps = maps_of(table)
    beside = bool(maps) and width > 5
    across = min(_MAP * (1 + 0.3 * (len(maps) > 1)), width * 0.4) if beside else width - 2 * EDGE - 0.4
    down = min(across / len(maps) * maps[0].tall, 3.4) if maps else 0.0
    if len(maps) > 1 and beside:
        down = min(max(down, _LINE * 1.2 * len(maps[0].layers)), 3.0)
    about = table.column(table.ranked)
    model = clean(str(table.about.get("model") or "")).rpartition("/")[2]
    notes = [f"{about.name.replace('_', ' ')}: {about.about}", *([f"Model: {model}"] if model else [])]
    if about.signed:
        notes[:0] = _texts(table, 3 * width)
    if len(table) > len(shown):
        notes.append(f"The first {len(shown)} of {len(table):,} rows.")
    around = sheet.frame(style, table.title, notes, width)
    bars = _LINE * len(shown) + 0.1
    inside = max(down + 0.45, bars) if beside else (down + 0.55 if maps else 0) + bars
    page = sheet.new_sheet(style, around, around.above + inside + around.below)
    top, left = around.above + 0.05, EDGE
    if maps:
        indent = draw_maps(page, maps, (EDGE, top + 0.2, across, down), style)
        left, top = (EDGE + indent + across + 0.35, top) if beside else (EDGE, top + down + 0.5)
    _draw_bars(page, shown, (left, top, width - EDGE - left, bars), style)
    return page.figure


def _texts(table: Table, room: float) -> list[str]:
    """The texts that a ``table`` is of, each in so many inches."""
    names = [name for name in ("text", "clean", "corrupt") if name in table.about]
    texts = [" ".join(clean(str(table.about[name])).split()) for name in names]
    return [
        f"{name.capitalize()}{_score(table, name)}: {shorten_to(text, SMALL, room)}"
        for name, text in zip(names, texts, strict=True)
    ]


def _score(table: Table, name: str) -> str:
    """The score that a text has, in brackets, if it has one."""
    score = table.about.get(f"{name}_score")
    return "" if score is None else f" ({formatted(score, 'change')})"


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
    if texts == ["plain", "changed"]:
        words = [each.strip() or "␣" for each in dict.fromkeys(words)]
    arrow = " → " if texts[:2] in (["query", "key"], ["plain", "changed"]) else " · "
    return head + arrow.join(words)
