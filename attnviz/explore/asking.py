"""What the explorer is asked in words: other texts and heads, links, ablations, and what is saved."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnviz.analysis.text import compare as comparing
from attnviz.analysis.text.find import find_links
from attnviz.analysis.text.replaying import with_pairs
from attnviz.errors import AttnvizError, without_middle
from attnviz.explore import view as views
from attnviz.explore.command import drawn_as_arcs, picture_request, shown_again
from attnviz.explore.material import Material
from attnviz.explore.screens import Ask, Sheet
from attnviz.explore.session import Session
from attnviz.explore.showing import Showing
from attnviz.explore.source import Source
from attnviz.explore.view import View
from attnviz.record import Observation, Pairs, Spread

_SAID = 240
"""How many characters of a command are said in a corner; it is copied, and printed at the end, with all of its text."""


class Asking(Showing):
    """Asks for words, and shows answers; ``said`` are the commands that make again what was saved."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.said: list[str] = []

    def action_find_word(self) -> None:
        """Find a word in the text."""
        about = "A word, the second one (bank:2), several words, or /a pattern/."
        self._ask("Find a word", [("Word", "")], about, lambda found: self._find_word(found[0].strip()))

    def _find_word(self, wanted: str) -> None:
        try:
            self.go_to_word(wanted)
        except AttnvizError as error:
            self.refuse(error)

    def action_find_links(self) -> None:
        """Which heads take one word to another?"""
        link = self.scene.link
        fields = [("From", link.query), ("To", link.key)]
        about = "Leave one empty for all words."
        self._ask("Which heads take one word to another?", fields, about, lambda found: self.find(*found))

    def _ask(
        self, title: str, fields: list[tuple[str, str]], about: str, done: Callable[[tuple[str, ...]], None]
    ) -> None:
        self.main.query_one(Ask).ask(title, fields, about, done)

    def find(self, from_: str, to: str) -> None:
        """Show which heads take some words to others."""
        pairs = Pairs(*(tuple(filter(None, (each.strip(),))) for each in (from_, to)))
        if pairs == Pairs():
            self.say("no words are given to look for", "error")
            return
        observe = self._with_pairs(self.source)
        self.in_thread(lambda: find_links(observe(pairs)), self._answer, "looking for links")

    def _with_pairs(self, source: Source) -> Callable[[Pairs | Spread], Observation]:
        """Return what observes the text with pairs: of what is known of it, or, where that does not suffice, again."""
        material, request = self.scene.material, self.request()
        known = material.observation if material and not material.partial and source is self.source else None

        def observe(pairs: Pairs | Spread) -> Observation:
            nonlocal known
            if known is None:
                known = source.observe(request, lambda *_: None)
            if known.whole is None or known.usual is None:
                return source.observe(replace(request, pairs=pairs), lambda *_: None)
            return with_pairs(known, pairs)

        return observe

    def _answer(self, table: Any) -> None:
        """Show a table; a row that is chosen leads to its head."""

        def go(head: tuple[int, int]) -> None:
            numbers = self.scene.there.units.layers
            if head[0] in numbers:
                self.show(views.at_head(self.view, (numbers.index(head[0]), head[1])))

        self.main.query_one(Sheet).answer(table, go)

    def action_compare(self) -> None:
        """Compare with another head, or another text."""
        title = f"Compare {self.scene.name(self.view.head)} with"
        fields = [("A head (4.9), or another text", "")]
        self._ask(title, fields, "", lambda found: self._compare(found[0].strip()))

    def _compare(self, wanted: str) -> None:
        named = re.fullmatch(r"[Ll]?(\d{1,4})(?:\.|\s+|(?=[Hh]))[Hh]?(\d{1,4})", wanted)
        material = self.scene.there
        if named is None:
            self._compare_text(wanted)
            return
        layer, head = int(named[1]), int(named[2])
        if layer not in material.units.layers or head >= material.shape[1]:
            self.say(f"there is no head L{layer} H{head} here", "error")
            return
        self.show(replace(self.view, other=(material.units.layers.index(layer), head), versus=None, parts=()))

    def _compare_text(self, text: str) -> None:
        request, ours, observe = self.request(), self.source, self._with_pairs(self.source)

        def work() -> tuple[Any, Material]:
            theirs = ours.of_text(text)
            first, second = comparing.observe_two(observe, self._with_pairs(theirs))
            return comparing.compare(first, second), Material(theirs.observe(request, lambda *_: None))

        def done(found: tuple[Any, Material]) -> None:
            table, self.scene.other = found
            self.show(replace(self.view, versus=text, other=None, parts=()))
            self._answer(table)

        self.in_thread(work, done, "comparing")

    def action_ablate(self) -> None:
        """What changes in what the model says without the head under the cursor?"""
        material, source = self.scene.there, self.source
        layer, head = material.units.layers[self.view.head[0]], self.view.head[1]
        kind = material.observation.kind
        self.in_thread(lambda: source.ablate(layer, head, kind), self._answer, f"ablating L{layer} H{head}")

    def action_type_text(self) -> None:
        """Another text."""
        fields = [("Text", self.scene.there.observation.encoding.text)]
        self._ask("Another text", fields, "", lambda found: self._new_text(found[0]))

    def _new_text(self, text: str) -> None:
        try:
            source = self.source.of_text(text)
        except AttnvizError as error:
            self.refuse(error)
            return
        view = replace(View(), unit=self.view.unit, special=self.view.special, map=self.view.map,
                       order=self.view.order, threshold=self.view.threshold, arcs=self.view.arcs)  # fmt: skip
        self.turn_to(view, self.begin, source)

    def action_save(self) -> None:
        """Save what is seen."""
        name = self.scene.name(self.view.head).replace(" ", "-")
        about = ".svg, .png or .pdf is the map; .json or .safetensors all weights."
        fields = [("File", f"{name}.svg")]
        self._ask("Save what is seen", fields, about, lambda found: self._save(Path(found[0].strip()).expanduser()))

    def _save(self, path: Path) -> None:
        material, source = self.scene.there, self.source
        view, usual = self.view, self.session.request
        request = picture_request(view, material, usual, view.head if view.other is None else view.other)
        command = self._command(path)

        def work() -> None:
            found, other = source.observe(request, lambda *_: None), None
            if view.other is not None:
                other = source.observe(picture_request(view, material, usual, view.head), lambda *_: None)
            elif view.versus is not None:
                other = source.of_text(view.versus).observe(request, lambda *_: None)
            self.session.save(found, request, path, other, arcs=drawn_as_arcs(view))

        def done(_: None) -> None:
            self.said.append(command)
            self.say(f"wrote {path}\n{without_middle(command, _SAID)}")

        self.in_thread(work, done, f"writing {path.name}")

    def _command(self, path: Path | None = None) -> str:
        name, words = shown_again(self.view, self.scene.there, self.session.request, path)
        return self.session.words(name, self.text, words)

    def action_copy(self) -> None:
        """Copy the command that shows the same."""
        command = self._command()
        self.copy_to_clipboard(command)
        self.say(f"copied: {without_middle(command, _SAID)}")
