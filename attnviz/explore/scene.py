"""What the panes show of a view: their lines and titles, and what stands at a place of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.segment import Segment
from rich.style import Style

from attnviz.analysis.text.links import Link
from attnviz.analysis.text.ranked_heads import Order
from attnviz.analysis.text.shown_maps import above
from attnviz.errors import count_of
from attnviz.explore import listing
from attnviz.explore.arcs import draw_arcs
from attnviz.explore.drawing import Drawn, Line, Look, draw_cells
from attnviz.explore.material import Material
from attnviz.explore.view import Part, Place, View, part_around
from attnviz.record import Observation
from attnviz.render.heatmap import Heatmap
from attnviz.render.labels import head_name, shorten, width
from attnviz.render.terminal.screen import summary_heading
from attnviz.render.values import formatted

_BELOW = 4
"""The fewest lines below the grid of heads in which the strongest are listed."""
_ORDERS: dict[Order, str] = {
    "layer": "by layer", "link": "by strongest link", "entropy": "by entropy", "sink": "by sink", "role": "by role",
}  # fmt: skip


class Scene:
    """What is shown of a ``material`` in a ``view``.

    Attributes:
        material: what was observed of the text; None before there is anything.
        view: what is shown of it.
        other: another text that it is compared with.
        parts: parts of a long text that were observed by themselves.
        look: with what is drawn.
    """

    def __init__(self, look: Look, view: View) -> None:
        self.look, self.view = look, view
        self.material: Material | None = None
        self.other: Material | None = None
        self.parts: dict[Part, Observation] = {}
        self.grid: Drawn | None = None
        self.map: Drawn | None = None
        self._wrapped: tuple[Material, int, listing.Wrapped] | None = None

    @property
    def there(self) -> Material:
        """What there is.

        Raises:
            LookupError: nothing is there yet.
        """
        if self.material is None:
            raise LookupError("nothing is shown yet")
        return self.material

    @property
    def link(self) -> Link:
        """The link under the cursor."""
        return self.there.link(self.view.head, self.view.query, self.view.key)

    def name(self, head: Place) -> str:
        """The name of a head."""
        material = self.there
        return head_name(material.units.layers[head[0]], head[1], material.units.measure)

    # Titles

    def heading(self, progress: str) -> str:
        """The first line: what is done just now, and what is shown."""
        material = self.material
        line = summary_heading(material.observation).plain if material else ""
        missing = "the first layers" if material and material.partial else ""
        return " · ".join(filter(None, (progress, missing, line)))

    def heads_title(self) -> str:
        """What the heads are ordered by."""
        picked = self.view.picked
        word = "" if picked is None else f", from {self.there.units.queries.names[picked]}"
        return f"Heads {_ORDERS[self.view.order]}{word}"

    def heads_note(self) -> str:
        """How many heads each cell joins, where there is no room for all."""
        heat = self.grid.heat if self.grid is not None and self.view.order == "layer" else None
        if heat is None or not heat.pooled:
            return ""
        return f"each cell {count_of(heat.down, 'layer')} × {count_of(heat.across, 'head')}"

    def map_title(self) -> str:
        """Of which head the map is, and what it is compared with."""
        material, view = self.there, self.view
        kind = "" if material.observation.kind == "self" else f" · {material.observation.kind}"
        name = self.name(view.head)
        if view.other is not None:
            return f"{name} − {self.name(view.other)}{kind}"
        if view.versus is not None:
            return f"{name}: {shorten(view.versus, 30)} − this text{kind}"
        roles = material.roles(view.head)
        return f"{name}{kind}{' · ' + ', '.join(roles) if roles else ''}"

    def map_note(self) -> str:
        """What must be known of the map."""
        material, view = self.there, self.view
        notes = []
        if view.other is not None:
            notes.append(f"{formatted(material.apart(view.head, view.other)[1], 'score')} bits apart")
        if view.threshold and view.other is None and view.versus is None:
            notes.append(f"from {view.threshold:.0%} on")
        if view.part is not None:
            (a, b), (c, d) = view.part
            notes.append(f"{material.units.kind}s {a:,}–{b - 1:,} × {c:,}–{d - 1:,}")
        if self.map is not None and self.map.heat.pooled:
            notes.append(f"each cell {self.map.heat.down} × {self.map.heat.across}")
        return " · ".join(notes)

    def text_title(self) -> str:
        """Whose row colours the text, and which new token it made."""
        material, view = self.there, self.view
        made = ""
        if view.made is not None:
            made = f", which made {material.summary.pieces.queries.names[material.makers[view.made] + 1]}"
        return f"What {material.units.queries.names[view.query]} looks at{made}"

    def text_note(self) -> str:
        """Where the cursor is in the text."""
        return f"{self.there.units.kind} {self.view.query + 1:,} of {len(self.there.units.queries):,}"

    # Lines

    def draw_heads(self, wide: int, high: int) -> Sequence[Line]:
        """All heads: as they stand in the model, with the strongest below them; or in an order."""
        material, view = self.material, self.view
        if material is None:
            return []
        if view.order != "layer":
            heads = material.ranked(view.order, view.picked)
            return listing.draw_list(material, heads, view.order, self.place_in_list(), (wide, high), self.look)
        overview = _above(material.overview(view.order, view.picked), view.threshold)
        self.grid = draw_cells(overview, view.head, (wide, high), self.look)
        room = high - len(self.grid.lines)
        if room < _BELOW:
            return self.grid.lines
        best = material.ranked("link", view.picked)[: room - 1]
        at = next((i for i, each in enumerate(best) if (each.layer, each.head) == view.head), -1)
        return [*self.grid.lines, [], *listing.draw_list(material, best, "link", at, (wide, room - 1), self.look)]

    def draw_map(self, wide: int, high: int) -> Sequence[Line]:
        """The map of the head under the cursor."""
        if self.material is None:
            return []
        heat = self.heat()
        if heat is None:
            return [[Segment("computing …")]]
        cursor = None if heat.numbers is None else self.cell(heat)
        draw = draw_arcs if self.view.arcs else draw_cells
        self.map = draw(heat, cursor, (wide, high), self.look)
        return self.map.lines

    def draw_text(self, wide: int, high: int) -> Sequence[Line]:
        """The text, coloured by what the word under the cursor looks at; between two texts both."""
        material, view = self.material, self.view
        if material is None:
            return []
        wrapped, units = self.wrapped(wide), material.units
        row = material.row(view.head, view.query)
        counted = np.where(material.summary.key_mask, row, 0)
        most = float(counted.max()) or float(row.max()) or 1.0
        shown = np.where(row >= view.threshold, row, 0)
        marks = {view.query: self.look.mark}
        if units.one_text:
            return listing.draw_text(wrapped, shown, most, marks, self.look, (view.query, high))
        above = listing.draw_text(wrapped, None, most, marks, self.look, (view.query, max(high // 2, 1)))
        source, room = listing.wrap(units.keys, wide), max(high - len(above), 1)
        return [*above, *listing.draw_text(source, shown, most, {}, self.look, (self.link.key_index, room))]

    def draw_link(self, wide: int, _: int) -> Sequence[Line]:
        """The link under the cursor, in words."""
        if self.material is None:
            return []
        link, measure = self.link, self.material.units.measure
        weight = f"{100 * link.weight:.1f} %" if measure.share else formatted(link.weight, "number")
        lift = "" if link.lift is None else f" · {formatted(link.lift, 'lift')} what is usual for the head"
        entropy = float(self.material.observation.figures["entropy"][self.view.head])
        words = f"{shorten(link.query, 20)} → {shorten(link.key, 20)}  "
        figures = f" · {head_name(link.layer, link.head, measure)}: entropy {formatted(entropy, 'weight')} nats"
        rest = weight
        for part in (lift, figures):  # what there is no room for is left out whole
            rest += part if width(words) + width(rest + part) <= wide else ""
        return [[Segment(words, Style(bold=True)), Segment(shorten(rest, max(wide - width(words), 1)))]]

    def wrapped(self, wide: int) -> listing.Wrapped:
        """The text in lines of so many columns."""
        material = self.there
        if self._wrapped is None or self._wrapped[0] is not material or self._wrapped[1] != wide:
            self._wrapped = material, wide, listing.wrap(material.units.queries, wide)
        return self._wrapped[2]

    # Places

    def heat(self) -> Heatmap | None:
        """The heatmap of the view; None while it is computed."""
        material, view = self.there, self.view
        if view.other is not None:
            return material.apart(view.head, view.other)[0]
        if view.versus is not None and self.other is not None:
            return material.versus(self.other, view.head)
        if view.part is not None and not material.exact:
            found = self.parts.get(view.part)
            heat = None if found is None else material.zoomed(found, view.head)
        else:
            heat = material.heat(view.head, view.part)
        return heat and _above(heat, view.threshold)

    def cell(self, heat: Heatmap) -> tuple[int, int]:
        """The row and column of the cursor in a map."""
        link = self.link
        if heat.numbers is None:
            return 0, 0
        row, column = (
            max(int(np.searchsorted(numbers, unit, side="right")) - 1, 0)
            for numbers, unit in zip(heat.numbers, (link.query_index, link.key_index), strict=True)
        )
        return row, column

    def listed(self) -> list[Place]:
        """The heads in their order."""
        return [(each.layer, each.head) for each in self.there.ranked(self.view.order, self.view.picked)]

    def place_in_list(self) -> int:
        """Where the head under the cursor stands in the list."""
        listed = self.listed()
        return listed.index(self.view.head) if self.view.head in listed else 0

    def head_at(self, x: int, y: int, high: int) -> Place | None:
        """The head at a place of the pane, which is so many lines ``high``."""
        if self.view.order != "layer":
            listed = self.listed()
            at = listing.first_line(self.place_in_list(), len(listed), high) + y
            return listed[at] if at < len(listed) else None
        if self.grid is None:
            return None
        cell, heat = self.grid.hit(x, y), self.grid.heat
        if cell is not None:
            return cell[0] * heat.down, cell[1] * heat.across
        best, below = self.there.ranked("link", self.view.picked), y - len(self.grid.lines) - 1
        return (best[below].layer, best[below].head) if 0 <= below < len(best) else None

    def word_at(self, x: int, y: int, wide: int, high: int) -> int | None:
        """The unit at a place of the text, in a pane of this size."""
        wrapped = self.wrapped(wide)
        room = high if self.there.units.one_text else max(high // 2, 1)
        start = listing.first_line(wrapped.places[self.view.query][0], wrapped.lines, room)
        return wrapped.hit(x, start + y) if y < room else None

    def moved_in_map(self, down: int, right: int) -> View:
        """The view with the cursor moved over the map as it is drawn."""
        if self.map is None or self.map.heat.numbers is None:
            return self.view
        return self.at_cell(*(at + by for at, by in zip(self.cell(self.map.heat), (down, right), strict=True)))

    def at_cell(self, row: int, column: int) -> View:
        """The view with the cursor on a cell of the map as it is drawn; at its edge if there is none."""
        if self.map is None or self.map.heat.numbers is None:
            return self.view
        query, key = (
            int(numbers[min(max(at, 0), len(numbers) - 1)])
            for numbers, at in zip(self.map.heat.numbers, (row, column), strict=True)
        )
        return replace(self.view, query=query, key=key, picked=None if self.view.picked is None else query)

    def zoomed(self, wide: int, high: int) -> View | None:
        """The view of the part around the cell under the cursor, in a pane of this size; None if it joins nothing."""
        drawn, material = self.map, self.there
        if drawn is None or drawn.heat.numbers is None or not drawn.heat.pooled:
            return None
        sizes = len(material.units.queries), len(material.units.keys)
        ends = tuple(stop for _, stop in self.view.part) if self.view.part else sizes
        places = self.cell(drawn.heat)
        rows, columns = (
            (int(numbers[at]), int(numbers[at + 1]) if at + 1 < len(numbers) else end)
            for numbers, at, end in zip(drawn.heat.numbers, places, ends, strict=True)
        )
        room = (high - 4) * (1 if self.look.plain else 2), wide - drawn.label
        part = part_around((rows, columns), sizes, room)
        return replace(self.view, parts=(*self.view.parts, part), query=rows[0], key=columns[0])


def _above(heat: Heatmap, threshold: float) -> Heatmap:
    """A heatmap without the values below the threshold; its scale stays."""
    if not threshold:
        return heat
    return replace(heat, values=above(heat.values, threshold))
