"""What opens over the explorer: a question, an answer, and what the keys do."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import ClassVar

from rich.console import Console
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from attnviz.analysis.table import Table
from attnviz.explore.keys import KEYS
from attnviz.render.labels import clean
from attnviz.render.terminal.answer import Rows, answer_parts

_MOST = 50
"""The most rows of an answer."""
_ESCAPE: list[BindingType] = [Binding("escape", "dismiss", "back", show=False)]


class Ask(ModalScreen[tuple[str, ...] | None]):
    """Asks for one text or several, one below the other; Enter in the last gives them."""

    BINDINGS = _ESCAPE
    DEFAULT_CSS = """
    Ask { align: center middle; }
    Ask > Vertical { width: 80%; max-width: 100; height: auto; border: round $accent; padding: 0 1; }
    Ask Input { border: none; height: 1; padding: 0; margin: 0 0 0 0; background: $boost; }
    Ask Static.about { color: $text-muted; }
    """

    def __init__(self, title: str, fields: Sequence[tuple[str, str]], about: str = "") -> None:
        super().__init__()
        self._title, self._fields, self._about = title, fields, about

    def compose(self) -> ComposeResult:
        """The name of each text, and a line for it."""
        with Vertical() as box:
            box.border_title = Content(clean(self._title))
            for i, (name, value) in enumerate(self._fields):
                yield Static(Content(name))
                yield Input(value, id=f"field{i}", select_on_focus=True)
            yield Static(Content(f"{self._about}  Enter: go · Esc: back".strip()), classes="about")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the next text, or give them all."""
        at = int((event.input.id or "field0").removeprefix("field"))
        if at + 1 < len(self._fields):
            self.query_one(f"#field{at + 1}", Input).focus()
        else:
            self.dismiss(tuple(each.value for each in self.query(Input)))


class Answer(ModalScreen[tuple[int, int] | None]):
    """A table, of which a row can be chosen: the screen is left with its layer and head."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *_ESCAPE,
        Binding("q", "dismiss", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]
    DEFAULT_CSS = """
    Answer { align: center middle; background: $background; }
    Answer > Vertical { width: 96%; height: auto; max-height: 94%; border: round $accent; padding: 0 1; }
    Answer OptionList { height: auto; max-height: 60%; border: none; padding: 0; background: transparent; }
    Answer OptionList:focus { border: none; }
    Answer VerticalScroll { height: auto; max-height: 10; }
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def compose(self) -> ComposeResult:
        """The title, the rows, and the notes."""
        table = self._table
        wide = max(self.app.size.width * 96 // 100 - 6, 30)
        _, *rest = answer_parts(table, _MOST)
        rows = next(part for part in rest if isinstance(part, Rows))
        header, *lines = _rendered(rows, wide)
        count = min(len(table), _MOST)
        chosen = bool(table.of_heads)
        with Vertical() as box:
            box.border_title = Content(clean(table.title))
            some = f"{count} of {len(table):,} rows · " if count < len(table) else ""
            box.border_subtitle = Content(f"{some}{'Enter: go to this head · ' * chosen}Esc: back")
            yield Static(Content.from_rich_text(header))
            yield OptionList(*(Option(Content.from_rich_text(line)) for line in lines[:count]), markup=False)
            with VerticalScroll():
                for note in table.notes:
                    yield Static(Content(clean(note)))

    def on_mount(self) -> None:
        """The keys go to the rows."""
        self.query_one(OptionList).focus()

    def action_down(self) -> None:
        """The next row."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The row before."""
        self.query_one(OptionList).action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Leave with the head of the row."""
        table, row = self._table, event.option_index
        if table.of_heads:
            self.dismiss((int(table["layer"][row]), int(table["head"][row])))


class Keys(ModalScreen[None]):
    """What all keys do."""

    BINDINGS: ClassVar[list[BindingType]] = [*_ESCAPE, Binding("q,question_mark,f1,enter", "dismiss", show=False)]
    DEFAULT_CSS = """
    Keys { align: center middle; background: $background; }
    Keys > VerticalScroll { width: 78; max-width: 96%; height: auto; max-height: 94%; border: round $accent; }
    Keys > VerticalScroll { padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        """A line for each key."""
        with VerticalScroll() as box:
            box.border_title = Content("Keys")
            box.border_subtitle = Content("Esc: back")
            yield Static(Content.from_rich_text(key_lines()))


def key_lines() -> Text:
    """The keys and what they do, with where those work that do not everywhere."""
    found = Text()
    for key in KEYS:
        where = f"In the {' and '.join(key.panes)}: " if key.panes else ""
        found.append(f"{key.shown:<10}", "bold").append(f"{where}{key.about}\n")
    return found


def _rendered(rows: Rows, wide: int) -> list[Text]:
    """The lines of a table, as wide as there is room for."""
    console = Console(width=wide, file=StringIO(), force_terminal=True, color_system="truecolor", markup=False,
                      highlight=False, emoji=False)  # fmt: skip
    return [each for each in rows.__rich_console__(console, console.options) if isinstance(each, Text)]
