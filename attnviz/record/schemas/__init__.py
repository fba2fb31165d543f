"""The schemas of the JSON that attnviz writes, by JSON schema's draft 2020-12; one file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VERSIONS: Mapping[str, int] = {"show": 1, "batch": 1, "run": 2, "cost": 1, "record": 3, "answer": 1}
"""The ``schema_version`` of each document. It grows when a name goes or its meaning changes, not for a new name."""


def schema_text(name: str) -> str:
    """The schema of one of ``VERSIONS``, as the text of its file."""
    return (Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8")
