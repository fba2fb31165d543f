"""CSV and TSV: each row is a document, one column holds its text, and the first row names the columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from attnviz.batch.input.decoding import Decoded
from attnviz.batch.input.formats.lines import lines
from attnviz.batch.input.formats.rows import failed_row, no_field, text_row, with_fields
from attnviz.batch.input.options import InputRow, ReadOptions, Unreadable
from attnviz.batch.input.stream import Stream

_SEPARATOR = re.compile(r'"?sep=([^"\r\n])"?', re.IGNORECASE)
"""A first line that names the delimiter; Excel reads it, and other programs write it for Excel."""


def read_csv(stream: Stream, reading: ReadOptions) -> Iterator[InputRow]:
    """Read each row of a CSV file.

    The delimiter is the one of ``,;`` tab and ``|`` with which the header has the column of the text, or the one that
    a line ``sep=;`` before the header names.
    """
    yield from _read(stream, reading, ",;\t|")


def read_tsv(stream: Stream, reading: ReadOptions) -> Iterator[InputRow]:
    """Read each row of a TSV file."""
    yield from _read(stream, reading, "\t")


class _Lines:
    """The lines for the csv module. Unlike a generator, it can go on after it raised for a line that is too long."""

    def __init__(self, texts: Iterable[str], most: int) -> None:
        self._lines = lines(texts, most)
        self._quoted = False
        self.last = 0
        """The number of the line that was read last, from 1."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.last, line = next(self._lines)
        if line is None:
            raise _TooLong
        self._quoted ^= line.count('"') % 2 == 1
        return line + "\n"

    def begin(self) -> None:
        """Begin a row."""
        self._quoted = False

    def skip(self) -> None:
        """Skip the rest of a row: go on to the line in which its open quotation mark is closed."""
        while self._quoted:
            with suppress(_TooLong):
                if next(self, None) is None:
                    return


class _TooLong(csv.Error):
    pass


def _read(stream: Stream, reading: ReadOptions, delimiters: str) -> Iterator[InputRow]:
    csv.field_size_limit(reading.most)  # of the whole process; what stands there by default is too small for texts
    decoded = Decoded(stream.pieces())
    source = _Lines(decoded, reading.most)
    delimiter, columns = _header(source, reading.texts, delimiters)
    position = columns.index(reading.field)
    rows = csv.reader(source, delimiter=delimiter, strict=True)
    names = _apart(columns)
    while True:
        line = source.last + 1
        source.begin()
        try:
            fields = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield failed_row(line, _why(error, reading))
            if _is_limit(error):
                source.skip()
            continue
        if fields and len(fields) != len(columns):
            yield failed_row(line, f"broken row: {_count(fields)}, but {_count(columns)} in the header")
        elif fields:
            yield with_fields(
                text_row(line, fields[position], decoded.note), dict(zip(names, fields, strict=True)), reading
            )


def _apart(names: list[str]) -> list[str]:
    """The ``names`` of columns made unique: a name that was there before gets the number of its column."""
    return [f"{name}_{i + 1}" if name in names[:i] else name for i, name in enumerate(names)]


def _header(source: _Lines, wanted: Sequence[str], delimiters: str) -> tuple[str, list[str]]:
    try:
        line = next((line for line in source if line.strip()), "")
        if said := _SEPARATOR.fullmatch(line.strip("\r\n")):
            delimiters = said[1]
            line = next((line for line in source if line.strip()), "")
        headers = [(delimiter, _names(line, delimiter)) for delimiter in delimiters]
    except csv.Error as error:
        raise Unreadable(f"the row with the columns' names is broken ({error or 'it is too long'})") from None
    if not line:
        raise Unreadable("it is empty: there is no row with the columns' names")
    for delimiter, names in headers:
        if set(wanted) <= set(names):
            return delimiter, names
    names = max((names for _, names in headers), key=lambda names: (len(set(wanted) & set(names)), len(names)))
    raise Unreadable(no_field(next(name for name in wanted if name not in names), names, "column"))


def _names(line: str, delimiter: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]


def _why(error: csv.Error, reading: ReadOptions) -> str:
    if isinstance(error, _TooLong) or _is_limit(error):
        return reading.too_long
    if "unexpected end" in str(error):
        return "broken row: a quotation mark is never closed, the rows after it are in it"
    return f"broken row: {error}"


def _is_limit(error: csv.Error) -> bool:
    return "field limit" in str(error)


def _count(fields: list[str]) -> str:
    return "1 field" if len(fields) == 1 else f"{len(fields):,} fields"
