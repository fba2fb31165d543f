"""The explorer: a program that fills the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from attnviz.explore import keys
from attnviz.explore import view as views
from attnviz.explore.drawing import Line
from attnviz.explore.moving import Moving
from attnviz.explore.panes import Foot, Lines, Pane
from attnviz.explore.screens import Ask, Over, Sheet
from attnviz.explore.session import Session as Session
from attnviz.render.labels import shorten

SMALLEST = (60, 16)
"""The fewest columns and lines."""
_PANES: tuple[views.Pane, ...] = ("heads", "map", "text")
_SMALL = f"Too small: the explorer takes {SMALLEST[0]} × {SMALLEST[1]}. Enlarge the window, or press q."


class Explorer(Moving):
    """The explorer."""

    TITLE = "attnviz"
    CSS = """
    Screen { layout: vertical; layers: default question answer; align: center middle; }
    #head { height: 1; padding: 0 1; color: $text-muted; }
    #body { height: 1fr; }
    #heads { width: 40; }
    #map { width: 1fr; }
    Pane { border: round $foreground 40%; border-title-color: $foreground; padding: 0 1; }
    Pane { border-subtitle-color: $foreground 70%; }
    Pane:focus { border: round $accent; border-title-style: bold; }
    #text { height: 4; }
    #link { height: 1; padding: 0 1; }
    #foot { background: $panel; }
    #small { display: none; width: 1fr; height: 1fr; content-align: center middle; }
    CommandPalette { background: $background; }
    .small #small { display: block; }
    .small #all { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(each, action, show=False, priority=each in ("ctrl+c", "tab", "shift+tab"))
        for each, action in keys.bindings().items()
    ]

    _pane: views.Pane = "heads"

    def compose(self) -> ComposeResult:
        """Heads and map side by side, the text below."""
        scene = self.scene
        with Vertical(id="all"):
            yield Lines(self._draw_head, id="head")
            with Horizontal(id="body"):
                yield Pane(scene.draw_heads, id="heads")
                yield Pane(scene.draw_map, id="map")
            yield Pane(scene.draw_text, id="text")
            yield Lines(scene.draw_link, id="link")
            yield Foot(self._draw_foot, self._foot_action)
        yield Static(Content(_SMALL), id="small")
        yield Ask()
        yield Sheet(self.session.look)

    def on_mount(self) -> None:
        """Begin with the text."""
        super().on_mount()
        dark = self.session.dark
        self.theme = "ansi-dark" if self.session.look.plain else "textual-dark" if dark else "textual-light"
        self.main.query_one("#heads").focus()
        self.observe(self.begin)

    def on_resize(self, event: Resize) -> None:
        """Arrange the panes, or say that there is too little room."""
        wide, high = event.size
        self.main.set_class(wide < SMALLEST[0] or high < SMALLEST[1], "small")
        self.arrange(wide, high)
        self.main.query_one(Sheet).fit(wide, high)
        self.call_after_refresh(self.changed)

    def _draw_head(self, wide: int, _: int) -> Sequence[Line]:
        return [[Segment(shorten(self.scene.heading(self.progress) or "starting …", wide))]]

    def _draw_foot(self, wide: int, _: int) -> Sequence[Line]:
        line: Line = []
        name = Style(bold=True, color=None if self.session.look.plain else "cyan")
        for key in keys.footer(self.pane, self.view, self.scene.material, wide):
            line += [Segment(f" {key.shown}", name), Segment(f" {key.label} ")]
        return [line]

    def _foot_action(self, x: int) -> str | None:
        for key in keys.footer(self.pane, self.view, self.scene.material, self.size.width):
            x -= key.size
            if x < 0:
                return key.action
        return None

    @property
    def pane(self) -> views.Pane:
        """The pane that has the focus."""
        found = getattr(self.main.focused, "id", None) if self.screen_stack else None
        return found if found in _PANES else self._pane

    def on_descendant_focus(self) -> None:
        """Other keys may work in another pane; what has lost the focus to one is closed."""
        focused = self.main.focused
        if focused is not None and focused.id in _PANES:
            self._pane = focused.id
            self.close_over()
        self.main.query_one(Foot).again()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Nothing but leaving works in what is opened over the explorer, and before there is anything."""
        of_keys = [key for key in keys.KEYS if key.name == action]
        if not of_keys or action == "leave":
            return True
        if len(self.screen_stack) > 1 or self.over is not None:
            return False
        return any(keys.works(key, self.pane, self.view, self.scene.material) for key in of_keys)

    @property
    def over(self) -> Over | None:
        """What is opened over the panes."""
        return next((each for each in (self.main.query_one(Ask), self.main.query_one(Sheet)) if each.visible), None)

    def close_over(self) -> None:
        """Close what is opened over the panes."""
        over = self.over
        if over is not None:
            over.close()

    def action_pane(self, by: int) -> None:
        """Go to another pane."""
        after = _PANES[(_PANES.index(self.pane) + by) % len(_PANES)]
        self.main.query_one(f"#{after}").focus()

    def action_keys(self) -> None:
        """What all keys do."""
        self.main.query_one(Sheet).keys()

    def action_leave(self, code: int) -> None:
        """End the program."""
        self.exit(code)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the keys do that work here, for the palette."""
        for key in keys.KEYS:
            if key.rank and keys.works(key, self.pane, self.view, self.scene.material):
                yield SystemCommand(f"{key.label} ({key.shown})", key.about, self._runner(key.action))
        yield from (each for each in super().get_system_commands(screen) if each.title in ("Theme", "Screenshot"))

    def _runner(self, action: str) -> Callable[[], None]:
        return lambda: (self.call_later(self.run_action, action), None)[1]
