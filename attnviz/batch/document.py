"""A document of a corpus, as it was read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Document:
    """One text of a corpus.

    Args:
        number: the document's number in the run, from 0.
        source: the file or address that it was read from; ``-`` is standard input.
        line: the line in which it begins, from 1; None if it is a whole file, or the file has no lines.
        text: its text; empty if it could not be read.
        reason: why it could not be read.
        note: what the user should know of it, such as the encoding that was guessed.
        row: its number in the file, from 1; None if it is a whole file.
        kept: the values of the other fields that are kept, by name.
        columns: the names of all its fields.
        target: the second text of a pair; None if it is no pair.
    """

    number: int
    source: str
    line: int | None
    text: str
    reason: str = ""
    note: str = ""
    row: int | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()
    target: str | None = None

    @property
    def size(self) -> int:
        """About how many characters it holds in memory."""
        return (
            len(self.text)
            + len(self.target or "")
            + sum(len(value if isinstance(value, str) else repr(value)) for value in self.kept.values())
        )

    @cached_property
    def id(self) -> str:
        """SHA-256 of its text (or texts), or, if it could not be read, of its position and the reason."""
        content = self.text if self.target is None else f"{self.text}\0{self.target}"
        if self.reason:
            content = f"{self.source}\0{self.row}\0{self.line}\0{self.reason}"
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def where(self) -> str:
        """Its position as it is shown: ``notes.txt:12``, or ``notes.parquet, row 12``."""
        if self.line is None:
            return self.source if self.row is None else f"{self.source}, row {self.row}"
        return f"{self.source}:{self.line}"
