"""Draw what heads are for: a map of their roles, and a map of the clusters that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attnviz.analysis.corpus.roles import ROLES
from attnviz.analysis.table import Table
from attnviz.render.figure import sheet
from attnviz.render.figure.arcs import HUES
from attnviz.render.figure.fonts import text_width
from attnviz.render.figure.sheet import EDGE, LABEL, LINE, SMALL, Sheet
from attnviz.render.figure.style import Style, own_settings
from attnviz.render.labels import clean
from attnviz.render.maps import tick_numbers

_WIDE, _NARROW = 7.0, 5.0
"""The inches across a picture, and from which on parts of it stand side by side."""
_CELL, _HIGH = 0.34, 5.2
"""The most inches of a cell, and of all layers."""
_NUMBERED = 0.26
"""The inches from which on a cell has its number."""
_LEFT, _ABOVE = 0.34, 0.2
"""Inches for the numbers of layers and of heads."""
_LEGEND = 1.55
"""Inches of the names of roles."""
_SQUARE = 4.2
"""The most inches of the map of heads."""
_MARKERS = "osD^vP*X"
"""The marks of clusters: with eight hues, sixty-four are told apart."""
_RESTING = {"light": ("#b9bcc4", "#dfe1e6"), "dark": ("#6b6f7c", "#44474f")}
"""The greys of the roles that say little."""

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class _Grid:
    """The heads of a table by layer, with the ``bands`` and the ``text`` of each cell."""

    layers: list[int]
    heads: int
    bands: Mapping[tuple[int, int], Sequence[Colour]]
    text: Mapping[tuple[int, int], str]

    def cell(self, width: float, height: float = _HIGH) -> float:
        """The inches of a cell where the map may have ``width`` × ``height``."""
        return min(_CELL, (width - _LEFT) / self.heads, (height - _ABOVE) / len(self.layers))


@own_settings()
def draw_roles(table: Table, style: Style | None = None) -> Figure:
    """Draw the layers and heads of a ``table`` of ``heads_table``, each in the hues of its roles.

    A head with several roles has a band for each. Sinks and broad heads are grey, where they are nothing else: most
    heads rest there. The number is the score of the first role in percent.
    """
    style = style or Style()
    hues = _hues(style)
    has = {(row["layer"], row["head"]): _names(row) for row in table.rows()}
    scores = {(row["layer"], row["head"]): row["score"] for row in table.rows()}
    grid = _grid(
        table,
        {head: [hues[name] for name in _telling(names)] for head, names in has.items()},
        {head: f"{100 * score:.0f}" for head, score in scores.items() if score is not None},
    )
    measured = [role for role in ROLES if role.name in table.values and np.isfinite(table[role.name]).any()]
    many = [sum(role.name in names for names in has.values()) for role in measured]
    legend: list[tuple[str, str, Colour | None]] = [
        (f"{role.name} {role.rule}", f"{count:,}", hues[role.name])
        for role, count in zip(measured, many, strict=True)
        if count
    ]
    legend.append(("no role", f"{sum(not names for names in has.values()):,}", None))
    width = style.given_width or min(_WIDE, 2 * EDGE + _LEFT + grid.heads * _CELL + 0.3 + _LEGEND)
    width = max(width, 2.4)
    beside = width - 2 * EDGE - _LEGEND - 0.2 > _LEFT + 0.12 * grid.heads
    across = width - 2 * EDGE - (_LEGEND + 0.2 if beside else 0)
    cell = grid.cell(across)
    notes = ["Number: the score of the first role in percent."] if cell >= _NUMBERED else []
    without = ", ".join(role.name for role, count in zip(measured, many, strict=True) if not count)
    notes.append(f"No head has the role {without}." if without else "")
    around = sheet.frame(style, _title(table), notes, width)
    lines, room = len(legend) * LINE * 1.15, _ABOVE + cell * len(grid.layers)
    inside = max(lines, room) if beside else room + 0.12 + lines
    page = sheet.new_sheet(style, around, around.above + inside + 0.08 + around.below)
    top = around.above
    _draw_grid(page, grid, (EDGE, top), cell, style)
    right = (EDGE + _LEFT + cell * grid.heads + 0.2, top + _ABOVE) if beside else (EDGE + _LEFT, top + room + 0.12)
    _draw_legend(page, legend, right, style)
    return page.figure


@own_settings()
def draw_clusters(table: Table, style: Style | None = None) -> Figure:
    """Draw the heads of a table of ``clusters_table`` on a map, and by layer and head, in the hues of their clusters.

    Heads that are near on the map behave alike, as far as two axes can show it. The medoid of each cluster is named.
    """
    style = style or Style()
    number = {(row["layer"], row["head"]): row["cluster"] for row in table.rows()}
    colours = {each: to_rgb(HUES[(each - 1) % len(HUES)]) for each in set(number.values())}
    grid = _grid(
        table,
        {head: [colours[each]] for head, each in number.items()},
        {head: str(each) for head, each in number.items()},
    )
    width = style.given_width or _WIDE
    beside = width > _NARROW
    cell = grid.cell(width * 0.5 if beside else width - 2 * EDGE, 4.4 if beside else _HIGH)
    square = width - 2 * EDGE - (0.25 + _LEFT + cell * grid.heads if beside else 0)
    square = min(_SQUARE, square)
    note = "Heads that are near each other behave alike (square roots of Jensen–Shannon divergences"
    held = table.about.get("held")
    note += f"; two axes hold {100 * held:.0f} % of their squares)." if isinstance(held, float) else ")."
    legend = [
        *(clean(each) for each in table.notes if each.startswith("Cluster ")),
        f"{note} The most typical head is named.",
    ]  # fmt: skip
    around = sheet.frame(style, _title(table), legend, width)
    room = _ABOVE + cell * len(grid.layers)
    x, y = (np.asarray(table[name], float) for name in ("x", "y"))
    tall = square * min(max(float(np.ptp(y)) / max(float(np.ptp(x)), 1e-9), 0.5), 0.9)
    tall = max(tall, min(room, square)) if beside else tall
    tall = max(tall, min(room, square)) if beside else tall
    inside = max(tall, room) if beside else tall + 0.15 + room
    page = sheet.new_sheet(style, around, around.above + inside + 0.1 + around.below)
    _draw_places(page, table, (EDGE, around.above + 0.02, square, tall), style)
    at = (EDGE + square + 0.25, around.above) if beside else (EDGE, around.above + tall + 0.15)
    _draw_grid(page, grid, at, cell, style)
    return page.figure


def _title(table: Table) -> str:
    model = clean(str(table.about.get("model", "")).rpartition("/")[2])
    return f"{table.title} {model}".rstrip()


def _names(row: Mapping[str, Any]) -> list[str]:
    """The roles of a head, the first one first."""
    return [name for name in (row["role"], *row["also"].split(", ")) if name]


def _telling(names: Sequence[str]) -> list[str]:
    """The roles that are drawn: those that say something, or else where the head rests."""
    resting = {role.name for role in ROLES if role.resting}
    return [name for name in names if name not in resting] or [*names]


def _hues(style: Style) -> dict[str, Colour]:
    """The colour of each role."""
    resting, found, hues = iter(_RESTING[style.theme]), dict[str, Colour](), iter(HUES)
    for role in ROLES:
        found[role.name] = to_rgb(next(resting) if role.resting else next(hues))
    return found


def _grid(
    table: Table, bands: Mapping[tuple[int, int], Sequence[Colour]], text: Mapping[tuple[int, int], str]
) -> _Grid:
    return _Grid(sorted(set(table["layer"].tolist())), int(table["head"].max()) + 1, bands, text)


def _draw_grid(page: Sheet, grid: _Grid, at: tuple[float, float], cell: float, style: Style) -> None:
    """Draw the layers down and the heads across."""
    left, top = at[0] + _LEFT, at[1] + _ABOVE
    rows, columns = len(grid.layers), grid.heads
    axes = page.axes(left, top, cell * columns, cell * rows)
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    for (layer, head), bands in grid.bands.items():
        row = grid.layers.index(layer)
        for place, colour in enumerate(bands):
            band = (head + place / len(bands), row)
            axes.add_patch(Rectangle(band, 1 / len(bands), 1, facecolor=colour, linewidth=0))
        if cell >= _NUMBERED and (layer, head) in grid.text:
            light = float(np.dot(np.mean(bands, 0), (0.2126, 0.7152, 0.0722))) > 0.5 if bands else True
            ink = "#12121f" if light else "#ffffff"
            axes.text(
                head + 0.5, row + 0.5, grid.text[layer, head], ha="center", va="center_baseline", size=SMALL, color=ink
            )
    _rule(axes, rows, columns, style, 0.8 if cell > 0.15 else 0.4)
    for row in tick_numbers(rows, max(1, int(cell * rows / 0.13))):
        page.write(left - 0.05, top + (row + 0.5) * cell, f"L{grid.layers[row]}", SMALL, ha="right", va="center")
    for head in tick_numbers(columns, max(1, int(cell * columns / (text_width("H00", SMALL) + 0.04)))):
        page.write(left + (head + 0.5) * cell, top - 0.04, f"H{head}", SMALL, ha="center", va="bottom")


def _rule(axes: Axes, rows: int, columns: int, style: Style, width: float) -> None:
    """Draw lines between the cells."""
    axes.vlines(range(1, columns), 0, rows, colors=style.paper, linewidth=width)
    axes.hlines(range(1, rows), 0, columns, colors=style.paper, linewidth=width)


def _draw_legend(
    page: Sheet, legend: Sequence[tuple[str, str, Colour | None]], at: tuple[float, float], style: Style
) -> None:
    """Name the roles, with how many heads have each."""
    left, top = at
    step, side = LINE * 1.15, 0.09
    axes = page.axes(left, top, side, step * len(legend))
    axes.set_axis_off()
    axes.set(xlim=(0, side), ylim=(step * len(legend), 0))
    for place, (name, count, colour) in enumerate(legend):
        box = (0, place * step + 0.02)
        edge = style.frame if colour is None else "none"
        axes.add_patch(Rectangle(box, side, side, facecolor=colour or "none", edgecolor=edge, linewidth=0.6))
        page.write(left + side + 0.06, top + box[1] + side / 2, name, SMALL, va="center")
        page.write(left + _LEGEND, top + box[1] + side / 2, count, SMALL, va="center", ha="right", color=style.soft)


def _draw_places(page: Sheet, table: Table, box: tuple[float, float, float, float], style: Style) -> None:
    """Draw the map of heads: both axes have one scale."""
    axes = page.axes(*box)
    axes.set(xticks=[], yticks=[])
    x, y = (np.asarray(table[name], float) for name in ("x", "y"))
    inch = max(float(np.ptp(x)) / box[2], float(np.ptp(y)) / box[3], 1e-9) * 0.62  # half of one, with some room
    middles = [(float(each.max()) + float(each.min())) / 2 for each in (x, y)]
    (left, right), (low, high) = ((m - inch * side, m + inch * side) for m, side in zip(middles, box[2:], strict=True))
    axes.set(xlim=(left, right), ylim=(low, high))
    size = 26 if len(table) <= 150 else 12
    for number in sorted(set(table["cluster"].tolist())):
        own = table["cluster"] == number
        place = number - 1
        axes.scatter(
            x[own], y[own], s=size, color=HUES[place % len(HUES)], marker=_MARKERS[place // len(HUES) % len(_MARKERS)],
            alpha=0.8, edgecolors=style.paper, linewidths=0.4,
        )  # fmt: skip
    for row in np.flatnonzero(table["medoid"]).tolist():
        axes.annotate(
            f"{table['cluster'][row]}: L{table['layer'][row]} H{table['head'][row]}", (x[row], y[row]),
            xytext=(0, 4.5), textcoords="offset points", ha="center", va="bottom", size=LABEL, color=style.ink,
            weight="bold",
            bbox={"boxstyle": "round,pad=0.12", "facecolor": style.paper, "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip
