"""The families that attnviz runs, and how it runs a checkpoint, as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from attnviz.model.overview import FamilySummary, Overview
from attnviz.render.labels import clean
from attnviz.render.palette import HEAD


def families_table(rows: Iterable[FamilySummary], hosted: Iterable[str]) -> RenderableType:
    """Return the native families with their aliases, and the model types that are hosted."""
    table = Table.grid(padding=(0, 2))
    names = set()
    for row in rows:
        name, _, _ = row.about.partition(":")
        table.add_row(Text(f"  {row.name}", HEAD), Text(name).append("".join(f" · {one}" for one in row.aliases), HEAD))
        names |= {row.name, *row.aliases}
    others = [kind for kind in hosted if kind not in names]
    return Group(
        Text("Native: attnviz's own forward pass\n", "bold"),
        table,
        Text(
            f"\nHosted: {len(others)} more types run in transformers, with attnviz's kernel as their attention\n",
            "bold",
        ),
        Padding(Text(", ".join(others)), (0, 2)),
    )


def overview_table(found: Overview) -> RenderableType:
    """Return how a checkpoint runs, why, and what it is made of."""
    line = Text(clean(found.name), "bold").append(f" · {clean(found.model_type)} · ", "not bold")
    line.append(
        found.backend, "green" if found.backend == "native" else "yellow" if found.backend == "hosted" else "red"
    )
    table = Table.grid(padding=(0, 2))
    for name, words in found.facts.items():
        table.add_row(Text(f"  {name}", "dim"), Text(clean(words)))
    return Group(line, Text(f"  {clean(found.reason)}", "dim"), Text(), table)
