"""A document of a corpus, as it was found."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Document:
    """One text of a corpus.

    ``number`` counts all documents of the run from 0, ``source`` says which file, address or standard input (``-``),
    ``line`` the line, row or sentence in it, from 1; None where the document is the whole file. ``reason`` says why it
    could not be read, and the ``text`` is empty then; ``note`` what the reader should know, such as the encoding that
    was guessed.
    """

    number: int
    source: str
    line: int | None
    text: str
    reason: str = ""
    note: str = ""

    @cached_property
    def id(self) -> str:
        """The document by its content: SHA-256 of its text, or of where it stands and what was wrong with it."""
        content = self.text if not self.reason else f"{self.source}\0{self.line}\0{self.reason}"
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def where(self) -> str:
        """Where it stands, as it is shown: ``notes.txt:12``."""
        return self.source if self.line is None else f"{self.source}:{self.line}"
