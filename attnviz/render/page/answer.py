"""An answer as a table in HTML: a page of its own, and what a notebook shows."""

from __future__ import annotations

from attnviz.analysis.table import Table
from attnviz.render.page.corpus import SCRIPTS
from attnviz.render.page.environment import file, module, packed_palettes, render, script_json
from attnviz.render.values import formatted

_ROWS = 40
"""The most rows that a notebook shows."""
_PAGE = 5000
"""The most rows of a page: a browser takes seconds to lay out more."""


def answer_page(table: Table) -> str:
    """Return a page with the first rows of a ``table``, which a click on a column's name sorts."""
    return render(
        "answer.html",
        title=table.title,
        style=file("style.css"),
        script=module(SCRIPTS),
        content=script_json({"palettes": packed_palettes()}),
        every=len(table),
        **_content(table.top(_PAGE)),
    )


def table_html(table: Table, most: int = _ROWS) -> str:
    """Return the first rows as HTML without a style of its own, as frames of pandas show themselves."""
    return render("table.html", **_content(table.top(most)), left=max(0, len(table) - most))


def _content(table: Table) -> dict[str, object]:
    """What the templates show."""
    rows = [
        [
            (formatted(value, each.kind), "" if each.kind == "text" else value)
            for each, value in zip(table.columns, row.values(), strict=True)
        ]
        for row in ({each.name: row[each.name] for each in table.columns} for row in table.rows())
    ]
    about = {
        name.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in table.about.items() if value not in (None, "", [])
    }  # fmt: skip
    return {"table": table, "columns": table.columns, "rows": rows, "about": about}
