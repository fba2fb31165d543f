"""How inputs are read: what the user says of them, and what a reader of a format gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from attnviz.errors import UsageError

MOST = 1 << 26
"""The characters of the longest document: a bound, so that a file without an end needs no endless memory."""
ALL = "all"
"""In place of the columns that are kept: all."""
Split = Literal["line", "paragraph"]


@dataclass(frozen=True)
class ReadOptions:
    """How the inputs are cut into documents.

    Args:
        split: a text file is a document, or each line of it (blank ones left out), or each paragraph: lines between
            blank lines.
        field: which field of JSON lines, or column of a table, holds the text.
        format: the ending, without its dot, of the format of standard input and of files without a known ending:
            ``jsonl``. With it, all files in folders are read.
        most: the characters of the longest document; a longer one is not read.
        keep: which other fields or columns are kept of each document, ``all`` alone for all but that of the text.

    Raises:
        UsageError: there is no such ``split``.
    """

    split: Split | None = None
    field: str = "text"
    format: str | None = None
    most: int = MOST
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.split not in (None, *get_args(Split)):
            raise UsageError(f"no split by {self.split!r}", hint="Texts are split by line or by paragraph.")

    @property
    def keeps_all(self) -> bool:
        """Whether all columns are kept but that of the text."""
        return self.keep == (ALL,)

    def keeps(self, name: str) -> bool:
        """Whether the column is kept."""
        return name != self.field if self.keeps_all else name in self.keep

    @property
    def too_long(self) -> str:
        """Why a document is not read that is longer than ``most``."""
        return f"it has more than {self.most:,} characters"


@dataclass(frozen=True)
class InputRow:
    """One document of a file, as ``Document`` describes it; ``whole`` where it is all of the file."""

    line: int | None
    text: str = ""
    reason: str = ""
    note: str = ""
    whole: bool = False
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    columns: Sequence[str] = ()


class Unreadable(Exception):
    """What follows in this file can't be read; the message says why. What was read before it counts."""
