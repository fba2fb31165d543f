"""Parquet: a row a document, its text in a column; of the others nothing is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attnviz.batch.decoding import Decoded
from attnviz.batch.read.rows import failed, found, no_field
from attnviz.batch.reading import Reading, Row, Unreadable
from attnviz.batch.stream import Stream, why

_TOGETHER = 1 << 22
"""Bytes of text that are unpacked at once, about."""
_ROWS = 1024


def read(stream: Stream, reading: Reading) -> Iterator[Row]:
    """The text of each row, with the row's number from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(
            stream.seekable(), buffer_size=1 << 16, pre_buffer=False, page_checksum_verification=True
        ) as file:
            _require_texts(file.schema_arrow, reading.field)
            column = _column(file, reading.field)
            number = 0
            for group in range(file.num_row_groups):
                for text in _texts(file, group, column, reading.field):
                    number += 1
                    yield _row(number, text, reading)
    except (pa.ArrowException, OSError) as error:
        reason = why(error) if getattr(error, "errno", None) else f"the Parquet file is broken ({error})"
        raise Unreadable(reason) from None


def _require_texts(schema: Any, field: str) -> None:
    import pyarrow as pa

    if field not in schema.names:
        raise Unreadable(no_field(field, schema.names, "column"))
    kind = schema.field(field).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    strings = ("is_string", "is_large_string", "is_string_view", "is_binary", "is_large_binary", "is_null")
    if not any(getattr(pa.types, name)(kind) for name in strings if hasattr(pa.types, name)):
        raise Unreadable(f"the column '{field}' is {kind}, expected strings")


def _column(file: Any, field: str) -> int:
    """Which of the file's columns the field is: one that holds records has several."""
    names = [file.schema.column(place).path for place in range(len(file.schema))]
    return names.index(field)


def _texts(file: Any, group: int, column: int, field: str) -> Iterator[bytes | None]:
    """The column's texts in one group of rows, in so small batches that few of them are in memory."""
    import pyarrow as pa

    about = file.metadata.row_group(group)
    each = about.column(column).total_uncompressed_size // max(about.num_rows, 1)
    rows = min(max(_TOGETHER // max(each, 1), 1), _ROWS)
    for batch in file.iter_batches(rows, row_groups=[group], columns=[field], use_threads=False):
        # As bytes: a string that is no UTF-8 would be an error of its whole batch.
        yield from batch.column(0).cast(pa.large_string(), safe=False).cast(pa.large_binary()).to_pylist()


def _row(number: int, text: bytes | None, reading: Reading) -> Row:
    if text is None:
        return failed(number, f"the column '{reading.field}' is null")
    if len(text) > reading.most and len(text.decode(errors="replace")) > reading.most:
        return failed(number, reading.too_long)
    try:
        return found(number, text.decode())
    except UnicodeDecodeError:
        pass
    decoded = Decoded([text], len(text) + 1)
    try:
        return found(number, "".join(decoded), decoded.note)
    except Unreadable as error:
        return failed(number, str(error))
