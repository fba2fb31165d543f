"""What commands that answer a question share: how the answer is printed, or written to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import console
from attnviz.cli.files import output_path, replace_output
from attnviz.cli.matplotlib_settings import isolate_matplotlib
from attnviz.cli.parsing import parse_top
from attnviz.cli.pictures import LookOptions
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from attnviz.analysis.table import Table
    from attnviz.render.figure import Style

PICTURES = (".png", ".svg", ".pdf")
TABLES = (".csv", ".parquet", ".jsonl")
_PANEL = "Answer"
_TOP = 12


@dataclass(frozen=True)
class AnswerOptions(LookOptions):
    """How an answer is given, and how its picture looks."""

    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the answer to a file: .csv, .parquet, .jsonl, .json, .html, .png, .svg or .pdf.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    top: Annotated[
        str | None,
        typer.Option(
            metavar="N|all", help="How many rows are printed.", show_default=str(_TOP), rich_help_panel=_PANEL
        ),
    ] = None
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead.", rich_help_panel=_PANEL)
    ] = False
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.", rich_help_panel=_PANEL)] = False

    def most(self, rows: int | None = _TOP) -> int | None:
        """How many rows are printed; None for all. By default it is ``rows``.

        Raises:
            UsageError: it is no number.
        """
        return rows if self.top is None else parse_top(self.top)

    def place(self) -> Path | None:
        """The file, verified before anything is computed.

        Raises:
            UsageError: as ``output_path``; both a file and --json.
        """
        self.most()
        self.look()
        if self.output is None:
            return None
        if self.as_json:
            raise UsageError("both --json and -o are given", hint="Write the document to a file with -o FILE.json.")
        return output_path(self.output, (*TABLES, ".json", ".html", *PICTURES), force=self.force)


def give_answer(
    table: Table,
    options: AnswerOptions,
    draw: Callable[[Style], Figure] | None = None,
    *,
    rows: int | None = _TOP,
    above: Iterable[RenderableType] | None = None,
) -> None:
    """Print a ``table``, or write it to the file that is asked for.

    Args:
        table: the answer.
        options: how it is given.
        draw: draws its picture in a style; None: that of any table.
        rows: how many rows are printed if nobody says; None: all.
        above: what is printed above the rows.

    Raises:
        UsageError: the file can't be written, or a library that it needs is missing.
    """
    path = options.place()
    if path is not None:
        _write(table, path, options, draw)
        from attnviz.render.labels import clean

        console.output().print(f"wrote {clean(str(path))}", soft_wrap=True)
    elif options.as_json:
        from attnviz.render.document import table_document

        console.print_json(table_document(table))
    else:
        from attnviz.render.terminal.answer import answer_parts

        out = console.output()
        for part in answer_parts(table, options.most(rows), above or ()):
            out.print(part)


def _write(table: Table, path: Path, options: AnswerOptions, draw: Callable[[Style], Figure] | None) -> None:
    """Write the answer as the suffix says."""
    content: bytes | None = None
    if path.suffix in TABLES:
        from attnviz.batch.output.writers import WRITERS

        content = bytes(WRITERS[path.suffix[1:]](table.to_arrow()))
    elif path.suffix == ".json":
        import json

        from attnviz.render.document import table_document

        content = f"{json.dumps(table_document(table), ensure_ascii=False, allow_nan=False)}\n".encode()
    elif path.suffix == ".html":
        from attnviz.render.page.answer import answer_page

        content = answer_page(table).encode()
    if content is not None:
        with replace_output(path, force=options.force) as partial:
            partial.write_bytes(content)
        return
    from attnviz.cli.export import save_picture
    from attnviz.render.figure import Style, draw_answer

    isolate_matplotlib()
    save_picture(draw or (lambda style: draw_answer(table, style)), Style(**options.look()), path, force=options.force)
