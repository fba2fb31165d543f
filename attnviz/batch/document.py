"""A document of a corpus, as it was found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Document:
    """One text of a corpus.

    ``number`` counts all documents of the run from 0, ``source`` says which file, address or standard input (``-``).
    ``row`` counts those of the file from 1 (rows, sentences, lines that are not blank), ``line`` is the line in which
    it begins, as an editor counts it; None where the document is the whole file, or the file has no lines. ``reason``
    says why it could not be read, and the ``text`` is empty then; ``note`` what the reader should know, such as the
    encoding that was guessed. ``kept`` is what is kept of its other fields, by the name of each, of all its
    ``columns``.
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

    @property
    def size(self) -> int:
        """About how many characters are held of it."""
        return len(self.text) + sum(
            len(value if isinstance(value, str) else repr(value)) for value in self.kept.values()
        )

    @cached_property
    def id(self) -> str:
        """The document by its content: SHA-256 of its text, or of where it stands and what was wrong with it."""
        content = self.text if not self.reason else f"{self.source}\0{self.row}\0{self.line}\0{self.reason}"
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def where(self) -> str:
        """Where it stands, as it is shown: ``notes.txt:12``, or ``notes.parquet, row 12``."""
        if self.line is None:
            return self.source if self.row is None else f"{self.source}, row {self.row}"
        return f"{self.source}:{self.line}"
