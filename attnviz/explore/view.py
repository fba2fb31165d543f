"""What the explorer shows: one frozen value, and pure functions from keys to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from attnviz.analysis.text.ranked_heads import ORDERS, Order
from attnviz.record import MapName, Unit

Pane = Literal["heads", "map", "text"]
Place = tuple[int, int]
"""The place of a layer among those that are shown, and a head."""
Span = tuple[int, int]
Part = tuple[Span, Span]
"""Rows and columns of a map, as ranges of units."""

STEP = 0.05
"""By how much a key raises or lowers the threshold."""
_MOST = 0.95


@dataclass(frozen=True)
class View:
    """What is shown.

    Attributes:
        head: the head under the cursor.
        query: the unit that looks, under the cursor.
        key: the unit that is looked at; None is the strongest of the query.
        picked: the unit by whose links the heads are ranked; None: all.
        other: a head that the one under the cursor is compared with.
        versus: another text that this one is compared with.
        order: what the heads are ordered by.
        threshold: smaller weights are not shown.
        parts: the parts of the map that were zoomed into, the last innermost.
        unit: what rows and columns are.
        special: special tokens and punctuation are shown and count.
        map: which map of an encoder–decoder; None for its cross map, or for a model that has one.
        arcs: the map is lines between words, not cells.
        made: the generated token that is stepped to, by its number; None: none.
    """

    head: Place = (0, 0)
    query: int = 0
    key: int | None = None
    picked: int | None = None
    other: Place | None = None
    versus: str | None = None
    order: Order = "layer"
    threshold: float = 0.0
    parts: tuple[Part, ...] = ()
    unit: Unit = "word"
    special: bool = False
    map: MapName | None = None
    made: int | None = None
    arcs: bool = False

    @property
    def part(self) -> Part | None:
        """The part of the map that is shown; None for all of it."""
        return self.parts[-1] if self.parts else None


def moved_in_grid(view: View, shape: tuple[int, int], down: int, right: int) -> View:
    """The view with the cursor moved over the heads as they stand in the model; it stops at the edges."""
    layer, head = (min(max(at + by, 0), size - 1) for at, by, size in zip(view.head, (down, right), shape, strict=True))
    return at_head(view, (layer, head))


def moved_in_list(view: View, places: list[Place], by: int) -> View:
    """The view with the cursor moved over heads that are listed in an order."""
    at = places.index(view.head) if view.head in places else 0
    return at_head(view, places[min(max(at + by, 0), len(places) - 1)])


def at_head(view: View, head: Place) -> View:
    """The view of another head."""
    return view if head == view.head else replace(view, head=head, key=None)


def at_word(view: View, query: int, count: int) -> View:
    """The view with the cursor on a unit; heads that are ranked by a unit follow it. It stops at the edges."""
    query = min(max(query, 0), count - 1)
    return replace(view, query=query, key=None, picked=None if view.picked is None else query)


def picked(view: View) -> View:
    """The heads ranked by the links of the unit under the cursor, or by all links again."""
    return replace(view, picked=None if view.picked == view.query else view.query)


def next_order(view: View) -> View:
    """The heads in the next order."""
    return replace(view, order=ORDERS[(ORDERS.index(view.order) + 1) % len(ORDERS)])


def with_threshold(view: View, steps: int) -> View:
    """The view with a higher or lower threshold."""
    return replace(view, threshold=round(min(max(view.threshold + steps * STEP, 0.0), _MOST), 2))


def with_unit(view: View) -> View:
    """Tokens in the place of words, or words again; places in the text are other numbers then."""
    return replace(view, unit="word" if view.unit == "token" else "token", key=None, picked=None, parts=(), made=None,
                   versus=None)  # fmt: skip


def next_map(view: View) -> View:
    """The next map of an encoder–decoder."""
    names: tuple[MapName, ...] = ("cross", "encoder", "decoder")
    after = names[(names.index(view.map or "cross") + 1) % len(names)]
    return replace(View(), map=after, order=view.order, unit=view.unit, special=view.special, threshold=view.threshold,
                   arcs=view.arcs)  # fmt: skip


def freed(view: View) -> View:
    """One step back: out of a part of the map, from a comparison, from a picked unit, in this order."""
    if view.parts:
        return replace(view, parts=view.parts[:-1])
    if view.other is not None or view.versus is not None:
        return replace(view, other=None, versus=None)
    return replace(view, picked=None, made=None)


def part_around(cell: tuple[Span, Span], size: tuple[int, int], room: tuple[int, int]) -> Part:
    """The units of a ``cell`` of a pooled map, with as many around them as there is ``room`` for, of ``size`` units."""
    rows, columns = (_around(span, count, most) for span, count, most in zip(cell, size, room, strict=True))
    return rows, columns


def _around(span: Span, count: int, most: int) -> Span:
    start, stop = span[0], min(span[1], count)
    more = max(0, most - (stop - start))
    first = max(0, min(start - more // 2, count - max(most, stop - start)))
    return first, min(count, max(stop, first + most))
