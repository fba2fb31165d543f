"""How inputs are read: the options of the user, and the rows that the reader of a format returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from attnviz.errors import UsageError

MOST = 1 << 26
"""The most characters of a document: it bounds the memory that an endless file takes."""
ALL = "all"
"""Stands for all columns where the names of columns are expected."""
Split = Literal["line", "paragraph"]


@dataclass(frozen=True)
class ReadOptions:
    """How the inputs are cut into documents.

    Args:
        split: "line" or "paragraph" makes each line (that is not blank) or each paragraph of a text file a document;
            None makes each file one.
        field: which field of JSON lines, or column of a table, holds the text.
        format: the ending, without its dot, of the format of standard input and of files without a known ending:
            ``jsonl``. With it, all files in folders are read.
        most: the characters of the longest document; a longer one is not read.
        keep: which other fields or columns are kept of each document, ``all`` alone for all but that of the text.
        target: which field or column holds the second text of a pair; None reads no pairs. A plain text has a pair in
            each line then: ``source ||| target``.
        blank: whether a blank line of a text that is split by line is a document that can't be read, so that lines are
            counted as they stand; else it is skipped.
        trees: whether the text of a sentence in CoNLL-U is all of its lines.

    Raises:
        UsageError: there is no such ``split``.
    """

    split: Split | None = None
    field: str = "text"
    format: str | None = None
    most: int = MOST
    keep: tuple[str, ...] = ()
    target: str | None = None
    blank: bool = False
    trees: bool = False

    def __post_init__(self) -> None:
        if self.split not in (None, *get_args(Split)):
            raise UsageError(f"no split by {self.split!r}", hint="Texts are split by line or by paragraph.")

    @property
    def keeps_all(self) -> bool:
        """Whether all columns but those of the texts are kept."""
        return self.keep == (ALL,)

    def keeps(self, name: str) -> bool:
        """Whether the column is kept."""
        return name not in (self.field, self.target) if self.keeps_all else name in self.keep

    @property
    def texts(self) -> tuple[str, ...]:
        """The fields or columns that hold texts."""
        return (self.field,) if self.target is None else (self.field, self.target)

    @property
    def too_long(self) -> str:
        """The reason of a document that is longer than ``most``."""
        return f"it has more than {self.most:,} characters"


@dataclass(frozen=True)
class InputRow:
    """One document of a file; the fields are those of ``Document``. ``whole`` marks a document that is a whole file."""

    line: int | None
    text: str = ""
    reason: str = ""
    note: str = ""
    whole: bool = False
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    columns: Sequence[str] = ()
    target: str | None = None


class Unreadable(Exception):
    """Raised where the rest of a file can't be read; the message says why. The documents before it are kept."""
