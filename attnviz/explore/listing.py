"""Draw the heads as a list in an order, and the text with the weights of one of its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from attnviz.analysis.table import Kind
from attnviz.analysis.text.ranked_heads import Order, RankedHead
from attnviz.analysis.text.units import Axis
from attnviz.explore.drawing import Line, Look, ground_of
from attnviz.explore.material import Material
from attnviz.render.labels import clean, fit, head_name, shorten
from attnviz.render.values import formatted

_WORD = 40
"""The most columns of a unit in the text; sentences are cut."""
_DIM = Style(dim=True)


def first_line(at: int, count: int, high: int) -> int:
    """The first of ``count`` lines that is shown where ``high`` of them fit, and the one ``at`` is among them."""
    return max(0, min(at - high // 2, count - high))


def draw_list(
    material: Material, heads: Sequence[RankedHead], order: Order, at: int, room: tuple[int, int], look: Look
) -> list[Line]:
    """A line for each head, of those that there is ``room`` (columns, lines) for around the one ``at`` the cursor."""
    wide, high = room
    start = first_line(at, len(heads), high)
    return [
        _head_line(material, each, order, wide, look, marked=start + i == at)
        for i, each in enumerate(heads[start : start + high])
    ]


def _head_line(material: Material, head: RankedHead, order: Order, wide: int, look: Look, *, marked: bool) -> Line:
    """``L5 H7  bank → loan   0.46  4.1×``, or what else the order goes by."""
    measure = material.units.measure
    name = f"{head_name(material.units.layers[head.layer], head.head, measure):<8}"
    counts = bool(material.summary.heads[head.layer, head.head])
    figure = _figure(material, head, order)
    link = head.link
    room = max(wide - cell_len(name) - cell_len(figure) - 1, 0)
    words = f"{clean(link.query)} → {clean(link.key)}" if link else "–"
    shown = words if order != "role" or not head.roles else ", ".join(head.roles)
    body = f"{name}{fit(shown, room)} {figure}"
    return [Segment(fit(body, wide), look.mark if marked else None if counts else _DIM)]


def _figure(material: Material, head: RankedHead, order: Order) -> str:
    if order in ("entropy", "sink"):
        value = float(material.observation.figures[order][head.layer, head.head])
        return formatted(value, "share" if order == "sink" else "weight").rjust(6)
    if head.link is None:
        return ""
    kind: Kind = "weight" if material.units.measure.share else "number"
    lift = "" if head.link.lift is None else formatted(head.link.lift, "lift").rjust(7)
    return f"{formatted(head.link.weight, kind)}{lift}"


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A text in lines: of each unit its line, and its first and last column (exclusive)."""

    places: tuple[tuple[int, int, int], ...]
    labels: tuple[str, ...]
    lines: int

    def hit(self, x: int, line: int) -> int | None:
        """The unit at a place; None where there is none."""
        return next((i for i, (at, start, stop) in enumerate(self.places) if at == line and start <= x < stop), None)

    def beside(self, unit: int, lines: int) -> int:
        """The unit so many lines below another, at about the same column."""
        at, start, stop = self.places[unit]
        wanted = min(max(at + lines, 0), self.lines - 1)
        there = [i for i, place in enumerate(self.places) if place[0] == wanted]
        return min(there, key=lambda i: abs(sum(self.places[i][1:]) - start - stop)) if there else unit


def wrap(axis: Axis, wide: int) -> Wrapped:
    """A text in lines of at most ``wide`` columns."""
    labels = tuple(shorten(label, min(_WORD, wide)) for label in axis.labels)
    places: list[tuple[int, int, int]] = []
    line = column = 0
    for label in labels:
        size = cell_len(label)
        if column and column + 1 + size > wide:
            line, column = line + 1, 0
        start = column + 1 if column else 0
        places.append((line, start, start + size))
        column = start + size
    return Wrapped(tuple(places), labels, line + 1)


def draw_text(
    wrapped: Wrapped,
    weights: NDArray[np.floating] | None,
    high: float,
    marks: dict[int, Style],
    look: Look,
    around: tuple[int, int],
) -> list[Line]:
    """The text, each unit on the colour of its weight; some units have ``marks``. Without weights it is plain.

    ``around`` are a unit, and how many lines are shown around it.
    """
    count = min(around[1], wrapped.lines)
    first = first_line(wrapped.places[around[0]][0], wrapped.lines, count)
    lines: list[Line] = [[] for _ in range(count)]
    ends = [0] * count
    for unit, ((at, start, stop), label) in enumerate(zip(wrapped.places, wrapped.labels, strict=True)):
        line = at - first
        if not 0 <= line < count:
            continue
        if start > ends[line]:
            lines[line].append(Segment(" " * (start - ends[line])))
        ends[line] = stop
        ground = None
        if weights is not None and not look.plain and weights[unit] > 0:
            ground = ground_of(float(weights[unit]), 0.0, high, look)
        elif weights is not None and look.plain and weights[unit] > high / 2:
            ground = Style(bold=True)
        lines[line].append(Segment(label, marks.get(unit, ground)))
    return lines
