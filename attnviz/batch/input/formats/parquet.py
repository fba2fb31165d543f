"""Parquet: each row is a document, one column holds its text; columns that are not kept are not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attnviz.batch.input.decoding import Decoded
from attnviz.batch.input.formats.rows import failed_row, no_field, text_row, with_fields
from attnviz.batch.input.options import InputRow, ReadOptions, Unreadable
from attnviz.batch.input.stream import Stream, why

if TYPE_CHECKING:
    import pyarrow as pa

_TOGETHER = 1 << 22
"""About how many bytes of text are decompressed together."""
_ROWS = 1024


def read_parquet(stream: Stream, reading: ReadOptions) -> Iterator[InputRow]:
    """Read each row; documents of Parquet have no lines."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(
            stream.seekable(), buffer_size=1 << 16, pre_buffer=False, page_checksum_verification=True
        ) as file:
            for name in reading.texts:
                _require_texts(file.schema_arrow, name)
            column = _column(file, reading.field)
            for group in range(file.num_row_groups):
                for text, fields in _texts(file, group, column, reading):
                    yield with_fields(_row(text, reading), fields, reading)
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
    """The position of the field among the leaf columns of the file: a column of structs has several."""
    names = [file.schema.column(i).path for i in range(len(file.schema))]
    return names.index(field)


def _texts(file: Any, group: int, column: int, reading: ReadOptions) -> Iterator[tuple[bytes | None, dict[str, Any]]]:
    """Yield each text of a row group with its other fields, in batches small enough for memory.

    Fields that are not kept are None.
    """
    import pyarrow as pa

    about, field, names = file.metadata.row_group(group), reading.field, file.schema_arrow.names
    wanted = [name for name in names if reading.keeps(name) or name == reading.target]
    kept = [name for name in wanted if name != field and names.count(name) == 1]
    size = about.total_byte_size if kept else about.column(column).total_uncompressed_size
    rows = min(max(_TOGETHER // max(size // max(about.num_rows, 1), 1), 1), _ROWS)
    for batch in file.iter_batches(rows, row_groups=[group], columns=[field, *kept], use_threads=False):
        # As bytes: a string that is no UTF-8 would be an error of its whole batch.
        texts = batch.column(field).cast(pa.large_string(), safe=False).cast(pa.large_binary()).to_pylist()
        others = {name: _values(batch.column(name)) for name in kept}
        for i, text in enumerate(texts):
            fields: dict[str, Any] = dict.fromkeys(names) if reading.keep else {}
            if reading.keeps(field):
                fields[field] = None if text is None else text.decode(errors="replace")
            yield text, fields | {name: values[i] for name, values in others.items()}


def _values(column: pa.Array) -> list[Any]:
    """The values of a column as Python objects; in a string that is not UTF-8, U+FFFD stands for wrong bytes."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = column.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
        return [None if text is None else text.decode(errors="replace") for text in texts]
    try:
        text_row: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):  # such as a day that Python's calendar does not have
        text_row = column.cast(pa.string()).to_pylist()
    return text_row


def _row(text: bytes | None, reading: ReadOptions) -> InputRow:
    if text is None:
        return failed_row(None, f"the column '{reading.field}' is null")
    if len(text) > reading.most and len(text.decode(errors="replace")) > reading.most:
        return failed_row(None, reading.too_long)
    try:
        return text_row(None, text.decode())
    except UnicodeDecodeError:
        pass
    decoded = Decoded([text], len(text) + 1)
    try:
        return text_row(None, "".join(decoded), decoded.note)
    except Unreadable as error:
        return failed_row(None, str(error))
