"""Titles and remarks on a console, which are broken between words and indented where they do not fit a line."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

_INDENT = "  "


@dataclass(frozen=True)
class Note:
    """A remark in dim text, all of whose lines are indented."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in _broken(Text(self.text, "dim"), console, options):
            yield Text(_INDENT) + line


@dataclass(frozen=True)
class Hanging:
    """A line whose continuations are indented."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if cell_len(self.text.plain) <= options.max_width:
            yield self.text
            return
        for number, line in enumerate(_broken(self.text, console, options)):
            yield Text(_INDENT) + line if number else line


@dataclass(frozen=True)
class Title:
    """A section's title, after an empty line; a remark stands beside it, or below where there is no room."""

    text: str
    remark: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text()
        beside = f"{_INDENT}{self.remark}" if self.remark else ""
        if cell_len(self.text) + cell_len(beside) <= options.max_width:
            yield Text(self.text, "bold").append(beside, "not bold dim")
        else:
            yield Text(self.text, "bold")
            yield Note(self.remark)


def _broken(text: Text, console: Console, options: ConsoleOptions) -> list[Text]:
    """The lines of a text, with room for their indentation."""
    lines = list(text.wrap(console, max(options.max_width - len(_INDENT), 1)))
    for line in lines:
        line.rstrip()
    return lines
