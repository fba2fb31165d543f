"""Show chapters of the manual in a terminal: Markdown whose tables and links are readable at any width."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Heading, Markdown, TableElement
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from attnviz.manual import Chapter
from attnviz.render.palette import HEAD

WIDEST = 100
"""The columns beyond which lines of text are hard to read."""
_CELL = 24
"""The columns that a cell of a table needs to be readable."""
_THEME = Theme(
    {
        "markdown.h1": "bold underline",
        "markdown.h2": "bold",
        "markdown.h3": "bold",
        "markdown.code": HEAD,
        "markdown.link": "default",
        "markdown.link_url": HEAD,
        "markdown.item.bullet": "dim",
        "markdown.item.number": "dim",
        "markdown.table.header": "dim",
        "markdown.table.border": "dim",
    }
)


class Manual:
    """A chapter as a renderable."""

    def __init__(self, chapter: Chapter) -> None:
        self._markdown = _Markdown(_readable(chapter.text), code_theme="ansi_dark", hyperlinks=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(_THEME):
            yield from console.render(self._markdown, options.update(width=min(options.max_width, WIDEST)))


def contents(chapters: Sequence[Chapter], commands: Sequence[tuple[str, str]]) -> RenderableType:
    """Return the chapters and commands, each with a line about it."""
    listed = _listed([(chapter.name, chapter.summary) for chapter in chapters])
    return Group(
        Text("The chapters, each shown by attnviz help CHAPTER:\n", "bold"),
        listed,
        Text("\nThe commands, with their options in attnviz COMMAND --help:\n", "bold"),
        _listed(commands),
    )


def _listed(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=HEAD, no_wrap=True)
    table.add_column()
    for name, about in rows:
        table.add_row(Text(f"  {name}"), Text(about))
    return table


def _readable(text: str) -> str:
    """Return Markdown for a terminal: links to chapters become the commands that show them."""
    text = re.sub(r"^### (attnviz \w+)\n\n```text\n.*?```$", r"- `\1 --help`", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"!\[(.*?)\]\((?:\.\./)*(.*?)\)", r"Picture: \1 (\2)", text)
    text = re.sub(r"\[([^\[\]]*)\]\((\w+)\.md\)", r"\1 (`attnviz help \2`)", text)
    return re.sub(r"\]\((?:\.\./)+(.*?)(?:#[\w-]*)?\)", r"](\1)", text)


class _Heading(Heading):
    """A left-aligned heading, also at the first level."""

    LEVEL_ALIGN = {}  # noqa: RUF012  (a class variable of rich)


class _Table(TableElement):
    """A table; if its columns would be too narrow to read, a paragraph for each row."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [[cell.content for cell in row.cells] for row in (self.body.rows if self.body else ())]
        titles = [cell.content for cell in self.header.row.cells] if self.header and self.header.row else []
        columns = list(zip(titles, *rows, strict=True))
        wanted = [max(Measurement.get(console, options, cell).maximum for cell in column) for column in columns]
        if sum(min(_CELL, width) + 2 for width in wanted) > options.max_width:
            yield from _paragraphs(titles, rows)
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title, width in zip(titles, wanted, strict=True):
            table.add_column(title, header_style="markdown.table.header", min_width=min(_CELL, width))
        for row in rows:
            table.add_row(*row)
        yield table


def _paragraphs(titles: Sequence[Text], rows: Sequence[Sequence[Text]]) -> RenderResult:
    for row in rows:
        yield row[0]
        for title, cell in zip(titles[1:], row[1:], strict=True):
            if cell.plain:
                said = Text.assemble((f"{title.plain}: ", "markdown.table.header"), cell) if len(row) > 2 else cell
                yield Padding(said, (0, 0, 0, 2))


class _Markdown(Markdown):
    elements = {**Markdown.elements, "table_open": _Table, "heading_open": _Heading}  # noqa: RUF012
