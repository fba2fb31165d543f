"""The formats of inputs: one small file a format, chosen by the ending of a file's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from attnviz.batch.input.read import conllu, delimited, jsonl, parquet, text
from attnviz.batch.input.reading import Reading, Row
from attnviz.batch.input.stream import PACKINGS, Stream
from attnviz.errors import UsageError

Read = Callable[[Stream, Reading], Iterator[Row]]
"""Reads the documents of one file; raises ``Unreadable`` or OSError where it can't go on."""
FORMATS: dict[str, Read] = {
    "txt": text.read,
    "md": text.read,
    "jsonl": jsonl.read,
    "ndjson": jsonl.read,
    "csv": delimited.read,
    "tsv": delimited.read_tabs,
    "parquet": parquet.read,
    "conllu": conllu.read,
}


def endings() -> str:
    """The endings that are read, in words."""
    return f"{', '.join(f'.{name}' for name in FORMATS)} (each also {', '.join(PACKINGS)})"


def find_format(name: str) -> Read:
    """The format called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMATS:
        raise UsageError(f"no format {name!r}", hint=f"The formats are {', '.join(FORMATS)}.")
    return FORMATS[name]


def by_ending(name: str) -> tuple[Read | None, str]:
    """What reads a file of this ``name``, None where its ending says nothing; and how it is packed, often not ("")."""
    path = PurePosixPath(name.lower())
    packing = PACKINGS.get(path.suffix, "")
    ending = path.with_suffix("").suffix if packing else path.suffix
    return FORMATS.get(ending.removeprefix(".")), packing
