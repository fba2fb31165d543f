"""The families that attnviz runs, and how it runs a checkpoint, as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from attnviz.render.labels import clean
from attnviz.render.palette import HEAD

if TYPE_CHECKING:
    from attnviz.model.listing import FamilySummary
    from attnviz.model.overview import Overview
    from attnviz.model.toured import Tour


def families_table(rows: Iterable[FamilySummary], tour: Tour) -> RenderableType:
    """Return the native families with their aliases, and how many and which model types run in other ways."""
    table = Table.grid(padding=(0, 2))
    for row in rows:
        name, _, _ = row.about.partition(":")
        line = Text(name).append("".join(f" · {one}" for one in row.aliases), HEAD)
        line.append(f" · the text of {', '.join(row.inside)}" if row.inside else "")
        table.add_row(Text(f"  {row.name}", HEAD), line)
    refused = Table.grid(padding=(0, 2))
    types = tour.types
    for kind, why in types["refused"].items():
        refused.add_row(Text(f"  {kind}"), Text(why.removeprefix(f"{kind} ")))
    return Group(
        Text(f"Of {tour.count} types of text models in transformers {tour.transformers}:"),
        Text(f"\nNative: {len(types['native'])}, by attnviz's own forward pass\n", "bold"),
        table,
        Text(
            f"\nHosted: {len(types['hosted'])} run in transformers, with attnviz's kernel as their attention\n", "bold"
        ),
        _listed(types["hosted"]),
        Text(f"\nObserved: {len(types['observed'])} attend by themselves, and hand in their own weights\n", "bold"),
        _listed(types["observed"]),
        Text(f"\nRefused: {len(types['refused'])}\n", "bold"),
        refused,
    )


def _listed(names: Iterable[str]) -> RenderableType:
    return Padding(Text(", ".join(names)), (0, 2))


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
