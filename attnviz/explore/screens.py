"""What opens over the explorer: a question, an answer, and what the keys do.

They are parts of the same screen, which are shown and hidden: what lies under them is not drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any, ClassVar

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.widget import Widget
from textual.widgets import Input, Static

from attnviz.analysis.table import Table
from attnviz.explore.drawing import Line, Look
from attnviz.explore.keys import KEYS
from attnviz.explore.listing import first_line
from attnviz.explore.panes import Pane
from attnviz.render.labels import clean
from attnviz.render.terminal.answer import Rows, answer_parts

_MOST = 50
"""The most rows of an answer."""
_FIELDS = 2
"""The most texts that a question asks for."""
_FAR = 10**6


_OVER = "visibility: hidden; background: $surface; border: round $accent; padding: 0 1;"
"""The style of what opens over the explorer. Hidden, it keeps its place, so that nothing else is arranged anew."""


class Over(Widget):
    """Something that opens over the explorer, and gives the focus back when it is closed."""

    done: Callable[[Any], None]
    _before: Widget | None = None

    def open(self, first: Widget, done: Callable[[Any], None]) -> None:
        """Show it, with the focus on its ``first`` part; ``done`` takes what it is closed with."""
        self.done = done
        self._before = self.screen.focused if self._before is None else self._before
        self.visible = True
        self.screen.set_focus(first)

    def close(self, found: Any = None) -> None:
        """Hide it; what was ``found`` is None if it was given up."""
        self.visible = False
        if self._before is not None:
            self.screen.set_focus(self._before)
        self._before = None
        if found is not None:
            self.done(found)

    def action_close(self) -> None:
        """Give it up."""
        self.close()


class Ask(Vertical, Over):
    """Asks for one text or two, one below the other; Enter in the last gives them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False),
        Binding("tab,down", "next(1)", show=False),
        Binding("shift+tab,up", "next(-1)", show=False),
    ]
    DEFAULT_CSS = f"""
    Ask {{ {_OVER} layer: question; width: 80%; max-width: 100; height: auto; }}
    Ask Input {{ border: none; height: 1; padding: 0; margin: 0; background: $boost; }}
    Ask Input:focus {{ border: none; }}
    Ask Static {{ height: auto; }}
    Ask .about {{ color: $text-muted; }}
    """

    def compose(self) -> ComposeResult:
        """The name of each text, and a line for it."""
        for i in range(_FIELDS):
            yield Static(id=f"name{i}", markup=False)
            yield Input(id=f"field{i}", select_on_focus=True)
        yield Static(classes="about", markup=False)

    def ask(
        self, title: str, fields: Sequence[tuple[str, str]], about: str, done: Callable[[tuple[str, ...]], None]
    ) -> None:
        """Ask for the ``fields``: the name of each, and what stands there first."""
        self.border_title = Content(clean(title))
        for i in range(_FIELDS):
            name, field = self.query_one(f"#name{i}", Static), self.query_one(f"#field{i}", Input)
            name.display = field.display = i < len(fields)
            if i < len(fields):
                name.update(Content(fields[i][0]))
                field.value = fields[i][1]
                field.action_select_all()
        self.query_one(".about", Static).update(Content(f"{about}  Enter: go · Esc: back".strip()))
        self.open(self.query_one("#field0"), done)

    @property
    def _fields(self) -> list[Input]:
        return [each for each in self.query(Input) if each.display]

    def action_next(self, by: int) -> None:
        """Go to another text."""
        fields = self._fields
        at = next((i for i, each in enumerate(fields) if each.has_focus), 0)
        fields[(at + by) % len(fields)].focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the next text, or give them all."""
        fields = self._fields
        if event.input is not fields[-1]:
            self.action_next(1)
        elif any(each.value.strip() for each in fields):
            self.close(tuple(each.value for each in fields))
        else:
            self.close()


class Sheet(Pane, Over):
    """Lines over the explorer: those of a table, of which one can be chosen, or of a text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "close", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,space", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("home", f"move({-_FAR})", show=False),
        Binding("end", f"move({_FAR})", show=False),
        Binding("enter", "choose", show=False),
        Binding("tab,shift+tab", "move(0)", show=False),
    ]
    DEFAULT_CSS = f"Sheet {{ {_OVER} layer: answer; width: 96%; }} Sheet:focus {{ border: round $accent; }}"

    def __init__(self, look: Look) -> None:
        super().__init__(self._draw_lines, id="sheet")
        self._look = look
        self._head: list[Line] = []
        self._body: list[Line] = []
        self._heads: list[tuple[int, int]] = []
        self._at = 0
        self._fill: Callable[[int], tuple[list[Line], list[Line]]] = lambda _: ([], [])

    def answer(self, table: Table, done: Callable[[tuple[int, int]], None]) -> None:
        """Show a table; ``done`` takes the layer and the head of the row that is chosen."""
        *_, rows = (part for part in answer_parts(table, _MOST) if isinstance(part, Rows))

        def fill(wide: int) -> tuple[list[Line], list[Line]]:
            header, *lines = _lines(rows, wide)
            notes = [line for note in table.notes for line in _lines(Text(clean(note)), wide)]
            return [header], [*lines, *([[], *notes] if notes else [])]

        count = min(len(table), _MOST)
        self._heads = [(int(a), int(b)) for a, b in zip(table["layer"][:count], table["head"][:count], strict=True)] \
            if table.of_heads else []  # fmt: skip
        self._show(fill)
        some = f"{count} of {len(table):,} rows · " if count < len(table) else ""
        self.entitle(table.title, f"{some}{'Enter: go to this head · ' * bool(self._heads)}Esc: back")
        self.open(self, done)

    def keys(self) -> None:
        """Say what all keys do."""
        self._heads = []
        self._show(lambda wide: ([], key_lines(wide)))
        self.entitle("Keys", "Esc: back")
        self.open(self, lambda _: None)

    def _show(self, fill: Callable[[int], tuple[list[Line], list[Line]]]) -> None:
        self._fill, self._at = fill, 0
        self.fit(*self.app.size)

    def fit(self, wide: int, high: int) -> None:
        """Take the room that a screen of so many columns and lines has."""
        self._head, self._body = self._fill(max(wide * 96 // 100 - 4, 30))
        self.styles.height = min(len(self._head) + len(self._body) + 2, max(high * 94 // 100, 6))
        self._at = min(self._at, max(len(self._body) - 1, 0))
        self.again()

    def _first(self, high: int) -> int:
        """The first line of the body that is shown."""
        if self._heads:
            return first_line(self._at, len(self._body), high)
        return max(0, min(self._at, len(self._body) - high))

    def _draw_lines(self, _: int, high: int) -> Sequence[Line]:
        room = high - len(self._head)
        first = self._first(room)
        shown = self._body[first : first + room]
        at = self._at - first
        if self._at < len(self._heads) and at < len(shown):
            text = "".join(segment.text for segment in shown[at])
            shown = [*shown[:at], [Segment(text, self._look.mark)], *shown[at + 1 :]]
        return [*self._head, *shown]

    def action_move(self, by: int) -> None:
        """Go to another line."""
        room = self.size.height - len(self._head)
        last = len(self._body) - 1 if self._heads else max(len(self._body) - room, 0)
        self._at = min(max(self._at + by, 0), last)
        self.again()

    def action_choose(self) -> None:
        """Leave with the head of the row."""
        if self._at < len(self._heads):
            self.close(self._heads[self._at])
        elif not self._heads:
            self.close()

    def on_click(self, event: Click) -> None:
        """Go to a row; a second click chooses it."""
        event.stop()
        offset = event.get_content_offset(self)
        if offset is None or offset.y < len(self._head):
            return
        self._at = self._first(self.size.height - len(self._head)) + offset.y - len(self._head)
        self.action_move(0)
        if event.chain > 1:
            self.action_choose()

    def on_mouse_scroll_down(self) -> None:
        """Go down."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """Go up."""
        self.action_move(-1)


def key_lines(wide: int) -> list[Line]:
    """The keys and what they do, with where those work that do not everywhere."""
    found: list[Line] = []
    for key in KEYS:
        where = f"In the {' and '.join(key.panes)}: " if key.panes else ""
        first, *more = _lines(Text(f"{where}{key.about}"), wide - 10)
        found.append([Segment(f"{key.shown:<10}", Style(bold=True)), *first])
        found += [[Segment(" " * 10), *line] for line in more]
    return found


def _lines(shown: RenderableType, wide: int) -> list[Line]:
    """What rich makes of something in so many columns."""
    console = Console(width=wide, file=StringIO(), force_terminal=True, color_system="truecolor", markup=False,
                      highlight=False, emoji=False)  # fmt: skip
    return console.render_lines(shown, pad=False)
