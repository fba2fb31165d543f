"""What the keys and the mouse move and switch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from attnviz.explore import view as views
from attnviz.explore.asking import Asking
from attnviz.explore.material import Material
from attnviz.explore.panes import Pane

_FAR = 10**6


class Moving(Asking):
    """Moves the cursor over heads, cells and words, and switches what is shown."""

    @property
    def pane(self) -> views.Pane:
        """The pane that has the focus."""
        raise NotImplementedError

    def size_of(self, pane: views.Pane) -> Any:
        """The columns and lines of a pane."""
        return self.main.query_one(f"#{pane}").size

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor of the pane."""
        scene, view = self.scene, self.view
        if self.pane == "map":
            self.show(scene.moved_in_map(down, right))
        elif self.pane == "text":
            unit = view.query + right
            if down:
                unit = scene.wrapped(self.size_of("text").width).beside(view.query, down)
            self.show(views.at_word(view, unit, len(scene.there.units.queries)))
        elif view.order == "layer":
            self.show(views.moved_in_grid(view, scene.there.shape, down, right))
        else:
            self.show(views.moved_in_list(view, scene.listed(), down or right))

    def action_edge(self, side: int) -> None:
        """Go to the first or the last."""
        listed = self.pane == "heads" and self.view.order != "layer"
        self.action_move(0 if self.pane == "text" else _FAR * side, 0 if listed else _FAR * side)

    def action_enter(self) -> None:
        """Go from a head to its map, into a cell of the map, or rank the heads by a word."""
        if self.pane == "heads":
            self.main.query_one("#map").focus()
        elif self.pane == "text":
            self.show(views.picked(self.view))
        else:
            self._enter_cell()

    def _enter_cell(self) -> None:
        size = self.size_of("map")
        zoomed = self.scene.zoomed(size.width, size.height)
        if zoomed is not None:
            self.show(zoomed)
        elif self.view.versus is None:
            self.find(self.scene.link.query, self.scene.link.key)

    def action_free(self) -> None:
        """One step back."""
        self.show(views.freed(self.view))

    def action_order(self) -> None:
        """The heads in the next order."""
        self.show(views.next_order(self.view))

    def action_arcs(self) -> None:
        """The map as arcs, or as cells again."""
        self.show(replace(self.view, arcs=not self.view.arcs))

    def action_threshold(self, steps: int) -> None:
        """Raise or lower the threshold."""
        self.show(views.with_threshold(self.view, steps))

    def action_unit(self) -> None:
        """Words or tokens, with the cursor at the same place of the text."""
        self._switch(views.with_unit(self.view))

    def action_special(self) -> None:
        """Special tokens and punctuation, or not."""
        self._switch(replace(self.view, special=not self.view.special))

    def _switch(self, view: views.View) -> None:
        start = int(self.scene.there.units.queries.starts[self.view.query])

        def take(material: Material) -> None:
            starts = material.units.queries.starts
            self.view = replace(self.view, query=int(np.searchsorted(starts, start, side="right")) - 1)
            self.take(material, jump=False)

        self.turn_to(view, take)

    def action_next_map(self) -> None:
        """Another map of an encoder–decoder."""
        self.turn_to(views.next_map(self.view), lambda material: self.take(material, jump=True))

    def action_new_token(self, by: int) -> None:
        """Step through what the model wrote: the row of the token before, which predicted it."""
        if self.view.unit == "token":
            self._step(by)
            return

        def step(material: Material) -> None:
            self.take(material, jump=False)
            self._step(by)

        self.turn_to(views.with_unit(self.view), step)

    def _step(self, by: int) -> None:
        makers = self.scene.there.makers
        at = (0 if by > 0 else len(makers) - 1) if self.view.made is None else self.view.made + by
        at = min(max(at, 0), len(makers) - 1)
        self.show(replace(self.view, made=at, query=makers[at], key=None))

    def on_pane_pressed(self, event: Pane.Pressed) -> None:
        """Go to what is under the mouse; a double click does what Enter does."""
        scene, size = self.scene, event.pane.size
        if scene.material is None:
            return
        if event.pane.id == "heads":
            head = scene.head_at(event.x, event.y, size.height)
            if head is not None:
                self.show(views.at_head(self.view, head))
        elif event.pane.id == "map":
            cell = scene.map.hit(event.x, event.y) if scene.map else None
            if cell is not None:
                self.show(scene.at_cell(*cell))
        else:
            unit = scene.word_at(event.x, event.y, size.width, size.height)
            if unit is not None:
                self.show(views.at_word(self.view, unit, len(scene.material.units.queries)))
        if event.twice:
            self.action_enter()
