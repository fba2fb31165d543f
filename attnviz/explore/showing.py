"""The state of the explorer: what is observed, and what is shown of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from attnviz.analysis.text.shown_maps import require_heads, require_layers
from attnviz.analysis.text.wanted import find_places
from attnviz.errors import AttnvizError
from attnviz.explore import view as views
from attnviz.explore.command import request_of
from attnviz.explore.material import Material
from attnviz.explore.panes import Lines, Pane
from attnviz.explore.scene import Scene
from attnviz.explore.session import Session
from attnviz.explore.source import OnLayers, Source
from attnviz.explore.view import View
from attnviz.explore.working import Turn, Working
from attnviz.record import Crop, Observation, Request

_MOST = 1 << 30
"""The most bytes of maps of what was shown before, to which going back costs nothing."""


def _bytes(material: Material) -> int:
    return material.observation.maps.values.nbytes


@dataclass(frozen=True)
class _Shown:
    """What was shown before something else was asked for."""

    view: View
    material: Material
    source: Source
    text: str | None


class Showing(Working):
    """Observes a text, and shows views of it."""

    def __init__(self, session: Session) -> None:
        super().__init__(own_colours=session.look.plain, worded=session.worded)
        self.session, self.source = session, session.source
        asked = session.request
        self.scene = Scene(
            session.look, View(unit=asked.unit, special=asked.special, map=asked.map, threshold=asked.threshold)
        )
        self.text: str | None = None
        self._known: dict[tuple[Any, ...], Material] = {}
        self._placed = self.view
        self._before: _Shown | None = None

    @property
    def begun(self) -> bool:
        """Whether there is something to show."""
        return self.scene.material is not None

    @property
    def view(self) -> View:
        """What is shown."""
        return self.scene.view

    @view.setter
    def view(self, view: View) -> None:
        self.scene.view = view

    def request(self, **more: Any) -> Request:
        """What is asked of the text for what is shown."""
        return replace(request_of(self.view, self.session.request), **more)

    def turn_to(self, view: View, done: Callable[[Material], None], source: Source | None = None) -> None:
        """Observe the text, or another one of a ``source``, as another view wants it; ``go_back`` undoes it."""
        self._before = self._before or _Shown(self.view, self.scene.there, self.source, self.text)
        self.view = view
        if source is not None:
            self.source, self.text = source, source.text
        if not view.parts:
            self.scene.parts.clear()
        self.observe(done)

    def go_back(self) -> None:
        """Show what was shown before ``turn_to``."""
        if self._before is not None:
            self.view, self.scene.material = self._before.view, self._before.material
            self.source, self.text = self._before.source, self._before.text
            self._before = None
            self.arrange(*self.size)

    def observe(self, done: Callable[[Material], None]) -> None:
        """Observe the text as the view wants it, or take what was observed before."""
        key = self.text, self.view.unit, self.view.special, self.view.map
        self._placed = self.view
        if key in self._known:
            self.drop("text")
            self._before = None
            done(self._known[key])
            self.changed()
            return
        source, request = self.source, self.request()

        def keep(material: Material) -> None:
            self._known[key] = material
            while len(self._known) > 1 and sum(map(_bytes, self._known.values())) > _MOST:
                del self._known[next(iter(self._known))]
            self._before = None
            done(material)

        on_layers = self._on_layers(("text", self.turns["text"] + 1))
        self.in_thread(lambda: Material(source.observe(request, on_layers)), keep, "attending", "text")

    def _on_layers(self, turn: Turn) -> OnLayers:
        return lambda found, done, total: self.tell(self._arrive, turn, found, done, total)

    def _arrive(self, turn: Turn, found: Observation | None, done: int, total: int) -> None:
        """Show the layers that are there while others are computed."""
        if not self.wanted(turn):
            return
        self.proceed("text", f"computing layer {done + 1} of {total} …" if total else f"computing layer {done + 1} …")
        if found is not None:
            self.take(Material(found, partial=True), jump=True)
        self.changed()

    def begin(self, material: Material) -> None:
        """The first view of a text: its strongest link, or what the command line names."""
        self.take(material, jump=True)
        layer, head, word = self.session.start
        self.session = replace(self.session, start=(None, None, None))
        try:
            require_layers([] if layer is None else [layer], material.units.layers)
            require_heads([] if head is None else [head], material.shape[1])
            row, column = self.view.head
            row = row if layer is None else material.units.layers.index(layer)
            self.view = views.at_head(self.view, (row, column if head is None else head))
            if word is not None:
                self.go_to_word(word, pick=True)
        except AttnvizError as error:
            self.fail(error)

    def take(self, material: Material, *, jump: bool) -> None:
        """Show another material, with the cursor inside; ``jump`` to its strongest link.

        A cursor that was moved since the first layers were shown stays where it is.
        """
        before, self.scene.material = self.scene.material, material
        jump = jump and (before is None or not before.partial or self.view == self._placed)
        view, (layers, heads) = self.view, material.shape
        view = replace(view, head=(min(view.head[0], layers - 1), min(view.head[1], heads - 1)))
        link = material.first
        if jump and link is not None:
            view = replace(view, head=material.place(link), query=link.query_index, key=link.key_index)
        self.view = self._placed = replace(view, query=min(view.query, len(material.units.queries) - 1))
        self.arrange(*self.size)

    def show(self, view: View) -> None:
        """Show another view."""
        if view == self.view:
            return
        arrange = (view.order == "layer") != (self.view.order == "layer")
        self.view = view
        if arrange:
            self.arrange(*self.size)
        if view.part is not None and not self.scene.there.exact:
            self._need_part(view.part)
        self.changed()

    def _need_part(self, part: views.Part) -> None:
        """Observe a part of a text of which not all weights were kept."""
        if part in self.scene.parts:
            return
        source, request = self.source, self.request(crop=Crop(*part), rank="weight")

        def keep(found: Observation) -> None:
            self.scene.parts[part] = found

        self.in_thread(lambda: source.observe(request, lambda *_: None), keep, "computing this part exactly")

    def go_to_word(self, wanted: str, *, pick: bool = False) -> None:
        """Go to the next place of a word; ``pick`` it, too.

        Raises:
            UsageError: as ``find_places``.
        """
        units, observation = self.scene.there.units, self.scene.there.observation
        places = find_places(units.queries, observation.encoding, units.kind, wanted)
        after = [place for place in places if place.units[0] > self.view.query]
        place = (after or places)[0]
        view = views.at_word(self.view, place.units[0], len(units.queries))
        self.show(replace(view, picked=view.query) if pick else view)
        if len(places) > 1 and not pick:
            self.say(f"{place.name}: / finds the next of {len(places)}")
        self.main.query_one("#text").focus()

    @property
    def main(self) -> Any:
        """The screen that all others lie over."""
        return self.screen_stack[0]

    def changed(self) -> None:
        """Draw everything anew."""
        if not self.screen_stack or not self.main.query("#head"):
            return
        for each in self.main.query(Lines):
            each.again()
        scene = self.scene
        if scene.material is not None:
            self.main.query_one("#heads", Pane).entitle(scene.heads_title(), scene.heads_note())
            self.main.query_one("#map", Pane).entitle(scene.map_title(), scene.map_note())
            self.main.query_one("#text", Pane).entitle(scene.text_title(), scene.text_note())

    def arrange(self, wide: int, high: int) -> None:
        """Give the heads and the text the room that they need."""
        if not self.screen_stack or not self.main.query("#heads"):
            return
        material = self.scene.material
        heads = material.shape[1] if material else 12
        room = max(30, min(4 + 4 * heads, wide * 45 // 100))
        if self.view.order != "layer":
            room = max(room, min(44, wide // 2))
        self.main.query_one("#heads").styles.width = room + 4
        two = material is not None and not material.units.one_text
        self.main.query_one("#text").styles.height = 2 + (4 if high >= 30 else 3 if two else 2)
