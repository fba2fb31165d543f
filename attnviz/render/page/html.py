"""Pieces of HTML. All functions return HTML; text from elsewhere must go through ``escape_text``."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnviz.analysis.corpus.outliers import Where
from attnviz.render.labels import clean, shorten

_WORD = 40
"""The most columns of a word."""


def escape_text(words: str) -> str:
    """Return text as HTML that shows it literally: no markup, and nothing that reverses the line."""
    return html.escape(clean(words)) if words else ""


def word(label: str) -> str:
    """Return a word of a document as HTML, isolated from the writing direction around it."""
    return f"<bdi>{html.escape(shorten(label, _WORD))}</bdi>"


def document_position(found: Where) -> str:
    """Return the number of a document, and the file and line it is from."""
    row = "" if found.row is None else f", row {found.row:,}"
    line = row if found.line is None else f":{found.line:,}"
    return f"{found.document:,} · <bdi>{escape_text(found.source)}</bdi>{line}"


@dataclass(frozen=True)
class TableCell:
    """A cell of a table; it is sorted by ``value`` if there is one, else by its text. ``kind`` is its CSS class."""

    html: str
    value: float | None = None
    kind: str = ""


def number_cell(shown: str, value: float) -> TableCell:
    """Return a cell with a number."""
    return TableCell(shown, value, "n")


def sortable_table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[TableCell]]) -> str:
    """Return a table that can be sorted; ``heads`` are the columns' titles and classes."""
    top = "".join(f"<th scope=col{_class(kind)}>{head}</th>" for head, kind in heads)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f"<div class=scroll><table class=sorted><thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(cell: TableCell) -> str:
    value = "" if cell.value is None else f' data-v="{cell.value:.6g}"'
    return f"<td{_class(cell.kind)}{value}>{cell.html}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def bar(share: float) -> str:
    """Return a bar that fills ``share`` of its width."""
    return (
        '<svg class="bar hide" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * share:.1f}" height="1"/></svg>'
    )


def section(name: str, about: str, *parts: str) -> str:
    """Return a section with its heading and introduction."""
    return "\n".join([f"<section>\n<h2>{name}</h2>", f"<p class=about>{about}</p>", *parts, "</section>"])
