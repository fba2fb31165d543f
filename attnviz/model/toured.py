"""How each text model type of transformers runs, as the tour of the tests found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

FILE = Path(__file__).parent / "model_types.json"
"""What the tour found; the tests write it."""

Way = Literal["native", "hosted", "observed", "refused"]
WAYS: tuple[Way, ...] = ("native", "hosted", "observed", "refused")


@dataclass(frozen=True)
class Tour:
    """What the tour of the model types of one transformers found.

    Args:
        transformers: the version of transformers.
        types: by way, the model types in order; each with the reason where it is refused, and with what must be
            known of its weights where it is observed; otherwise empty.
    """

    transformers: str
    types: Mapping[Way, Mapping[str, str]]

    def of(self, kind: str) -> str:
        """How models of the type ``kind`` run, in a sentence; empty for a type that the tour did not see."""
        for way, kinds in self.types.items():
            if kind in kinds:
                why = f": it {kinds[kind].removeprefix(f'{kind} ')}" if way == "refused" else ""
                return f"{kind} is also a model type: such models are {way}{why}."
        return ""

    @property
    def count(self) -> int:
        """How many types there are."""
        return sum(map(len, self.types.values()))


@cache
def read_tour() -> Tour:
    """Return what the tour found."""
    said = json.loads(FILE.read_text(encoding="utf-8"))
    rows = sorted(said["text"].items())
    types = {way: {kind: row.get("reason", "") for kind, row in rows if row["backend"] == way} for way in WAYS}
    return Tour(said["transformers"], types)
