"""All families with a line about each, for ``attnviz models`` and the manual. It loads no torch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from attnviz.model import families
from attnviz.model.towers import TOWERS


@dataclass(frozen=True)
class FamilySummary:
    """A family: its model type, other model types that differ only in their config, a line about it, and the larger
    models whose text model is usually of it.
    """

    name: str
    aliases: tuple[str, ...]
    about: str
    inside: tuple[str, ...] = ()


def list_families() -> list[FamilySummary]:
    """Return all families, each with its aliases and the first sentence of its file."""
    found = []
    for name in families.FAMILIES:
        module = importlib.import_module(f"{families.__name__}.{families.module_name(name)}")
        about = " ".join((module.__doc__ or "").partition("\n\n")[0].split()).replace("``", "")
        aliases = tuple(sorted(alias for alias, family in families.ALIASES.items() if family == name))
        kinds = {name, *aliases}
        inside = tuple(sorted(larger for larger, tower in TOWERS.items() if tower.kind in kinds))
        found.append(FamilySummary(name, aliases, about.rstrip("."), inside))
    return found
