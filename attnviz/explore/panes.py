"""The parts of the screen. They draw what they are given, and say where the mouse was pressed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from rich.segment import Segment
from textual.content import Content
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from attnviz.explore.drawing import Line
from attnviz.render.labels import clean

Draw = Callable[[int, int], Sequence[Line]]
"""Returns lines for so many columns and lines."""


class Lines(Widget):
    """Draws lines whenever it is told that they are others, or its size is."""

    DEFAULT_CSS = "Lines { height: 1fr; }"

    def __init__(self, draw: Draw, *, id: str) -> None:  # noqa: A002  (textual's name)
        super().__init__(id=id)
        self._draw = draw
        self._lines: list[Line] = []

    def again(self) -> None:
        """Draw anew; only the lines that are others go to the terminal."""
        wide, high = self.size
        before, self._lines = self._lines, list(self._draw(wide, high)) if wide and high else []
        pairs = enumerate(zip_longest(before, self._lines))
        changed = [Region(0, y, wide, 1) for y, (old, new) in pairs if old != new]
        if changed:
            self.refresh(*changed)

    def on_resize(self, _: Resize) -> None:
        """Another size needs other lines."""
        self.again()

    def render_line(self, y: int) -> Strip:
        """One line, as wide as the widget."""
        strip = Strip(self._lines[y] if y < len(self._lines) else [Segment("")])
        style = self.rich_style
        return strip.apply_style(style).adjust_cell_length(self.size.width, style)


class Pane(Lines, can_focus=True):
    """A part of the screen with a title, to which the keys go when it has the focus."""

    class Pressed(Message):
        """The mouse was pressed at a place of a pane; ``twice``: two times."""

        def __init__(self, pane: Pane, x: int, y: int, *, twice: bool) -> None:
            super().__init__()
            self.pane, self.x, self.y, self.twice = pane, x, y, twice

    def __init__(self, draw: Draw, *, id: str) -> None:  # noqa: A002  (textual's name)
        super().__init__(draw, id=id)
        self._titles = "", ""

    def entitle(self, title: str, below: str = "") -> None:
        """Set the title, and what stands in the lower edge; the text in them is data."""
        if (title, below) == self._titles:
            return
        self._titles = title, below
        self.border_title = Content(clean(title))
        self.border_subtitle = Content(clean(below)) if below else Content("")

    def on_click(self, event: Click) -> None:
        """Say where."""
        offset = event.get_content_offset(self)
        if offset is not None:
            self.post_message(self.Pressed(self, offset.x, offset.y, twice=event.chain > 1))


class Foot(Lines):
    """The last line: the keys that work here. Pressing one with the mouse does what it does."""

    DEFAULT_CSS = "Foot { height: 1; }"

    def __init__(self, draw: Draw, action: Callable[[int], str | None]) -> None:
        super().__init__(draw, id="foot")
        self._action = action

    async def on_click(self, event: Click) -> None:
        """Do what the key under the mouse does."""
        action = self._action(event.x)
        if action is not None:
            await self.app.run_action(action)
