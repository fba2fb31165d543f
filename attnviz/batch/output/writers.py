"""Tables as the bytes of a file: Parquet, CSV, and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS = 1 << 16
"""Rows that are turned into text at once."""
_FORMULA = r"\A('*[=+\-@\t\r\n＝＋－＠])"
"""How a text begins that a spreadsheet runs: the signs that OWASP lists, also as wide as Chinese characters."""


def as_parquet(table: pa.Table) -> pa.Buffer:
    """The table as a Parquet file, its texts and whole numbers by a dictionary, compressed with Zstandard.

    Each page has a checksum, so that ``open_parquet`` sees a bit that has flipped.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Hardly two figures are the same: a dictionary of them takes four times as long to write, and more room.
    repeating = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=repeating, write_page_checksum=True)
    return sink.getvalue()


def open_parquet(file: BinaryIO) -> pq.ParquetFile:
    """A Parquet file whose pages are held to their checksums as they are read. Raises ArrowException and OSError."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, page_checksum_verification=True)


def as_csv(table: pa.Table) -> pa.Buffer:
    """The table as CSV with a header; every text is quoted, and what is null has nothing between the commas.

    A text that a spreadsheet would run has an apostrophe in front.
    """
    import pyarrow as pa
    from pyarrow import csv

    columns = [_harmless(column) for column in table.columns]
    names = _harmless(pa.array(table.column_names, pa.string())).to_pylist()
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.table(columns, names), sink)
    return sink.getvalue()


def _harmless(column: Any) -> Any:
    """Texts (of an array or a column) with an apostrophe before what a spreadsheet runs as a formula.

    One more stands before texts that have apostrophes in front of such a sign already, so that who reads the file can
    take the first away and has what was there.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    return pc.replace_substring_regex(column, pattern=_FORMULA, replacement=r"'\1")


def as_json_lines(table: pa.Table) -> bytes:
    """The table as JSON Lines: an object a row, each number in the fewest digits that give it back."""
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
    """Each value as JSON, text where it is no number; what is null stays so."""
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
"""How a table becomes a file, by the suffix of that; Parquet is always written."""
