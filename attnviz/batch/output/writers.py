"""Tables as the bytes of a file: Parquet, CSV and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS = 1 << 16
"""The rows that are converted to text together."""
_FORMULA = r"\A('*[=+\-@\t\r\n＝＋－＠])"
"""The beginnings of texts that a spreadsheet runs: the characters that OWASP lists, and their full-width forms."""


def as_parquet(table: pa.Table) -> pa.Buffer:
    """The table as a Parquet file, compressed with Zstandard, with dictionaries of its texts and whole numbers.

    Each page has a checksum, so that ``open_parquet`` notices a flipped bit.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Hardly two figures are the same: a dictionary of them takes four times as long to write, and more room.
    repeating = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=repeating, write_page_checksum=True)
    return sink.getvalue()


def open_parquet(file: BinaryIO) -> pq.ParquetFile:
    """Open a Parquet file and verify the checksums of its pages as they are read. Raises ArrowException, OSError."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, page_checksum_verification=True)


def as_csv(table: pa.Table) -> pa.Buffer:
    """The table as CSV with a header: every text is quoted, and null is an empty field.

    A text that a spreadsheet would run gets an apostrophe in front.
    """
    import pyarrow as pa
    from pyarrow import csv

    columns = [_harmless(column) for column in table.columns]
    names = _harmless(pa.array(table.column_names, pa.string())).to_pylist()
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.table(columns, names), sink)
    return sink.getvalue()


def _harmless(column: Any) -> Any:
    """The texts of an array or a column, with an apostrophe before those that a spreadsheet runs as a formula.

    Texts that have apostrophes before such a character already get one more, so that a reader of the file can remove
    the first and has the original.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    return pc.replace_substring_regex(column, pattern=_FORMULA, replacement=r"'\1")


def as_json_lines(table: pa.Table) -> bytes:
    """The table as JSON Lines: an object for each row, each number in the fewest digits that restore it."""
    return b"".join(map(_lines, table.to_batches(max_chunksize=_ROWS)))


def _lines(batch: pa.RecordBatch) -> pa.Buffer:
    import pyarrow as pa
    import pyarrow.compute as pc

    parts: list[pa.Array | str] = []
    for name, column in zip(batch.column_names, batch.columns, strict=True):
        parts += [f"{',' if parts else '{'}{json.dumps(name)}:", _as_json(column)]
    lines = pc.binary_join_element_wise(*parts, "}\n", "", null_handling="replace", null_replacement="null")
    return pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "")[0].as_buffer()


def _as_json(column: pa.Array) -> pa.Array:
    """Each value as JSON: numbers and truth values as such, all else as text; null stays null."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string())
    found = column.cast(pa.string()).dictionary_encode()
    written = pa.array([json.dumps(text, ensure_ascii=False) for text in found.dictionary.to_pylist()], pa.string())
    return written.take(found.indices)


WRITERS: dict[str, Callable[[pa.Table], pa.Buffer | bytes]] = {
    "parquet": as_parquet,
    "csv": as_csv,
    "jsonl": as_json_lines,
}
"""The functions that turn a table into a file, by its suffix. Parquet is always written."""
