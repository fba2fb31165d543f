"""The formats of inputs: one module for each format, chosen by the suffix of the file name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from attnviz.batch.input.formats.conllu import read_conllu
from attnviz.batch.input.formats.delimited import read_csv, read_tsv
from attnviz.batch.input.formats.jsonl import read_jsonl
from attnviz.batch.input.formats.parquet import read_parquet
from attnviz.batch.input.formats.text import read_plain_text
from attnviz.batch.input.options import InputRow, ReadOptions
from attnviz.batch.input.stream import PACKINGS, Stream
from attnviz.errors import UsageError

Reader = Callable[[Stream, ReadOptions], Iterator[InputRow]]
"""Reads the documents of one file. Raises ``Unreadable`` or OSError where it can't go on."""
FORMATS: dict[str, Reader] = {
    "txt": read_plain_text,
    "md": read_plain_text,
    "jsonl": read_jsonl,
    "ndjson": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "parquet": read_parquet,
    "conllu": read_conllu,
}


def endings() -> str:
    """The endings that are read, in words."""
    return f"{', '.join(f'.{name}' for name in FORMATS)} (each also {', '.join(PACKINGS)})"


def find_format(name: str) -> Reader:
    """The format called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMATS:
        raise UsageError(f"no format {name!r}", hint=f"The formats are {', '.join(FORMATS)}.")
    return FORMATS[name]


def by_ending(name: str) -> tuple[Reader | None, str]:
    """The reader for a file of this ``name`` (None if its suffix is unknown), and its compression ("" if none)."""
    path = PurePosixPath(name.lower())
    packing = PACKINGS.get(path.suffix, "")
    ending = path.with_suffix("").suffix if packing else path.suffix
    return FORMATS.get(ending.removeprefix(".")), packing
