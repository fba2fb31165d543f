"""JSON Lines: each line is an object, one field of which holds the text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from attnviz.batch.input.decoding import Decoded
from attnviz.batch.input.formats.lines import lines
from attnviz.batch.input.formats.rows import failed_row, no_field, text_row, with_fields
from attnviz.batch.input.options import InputRow, ReadOptions
from attnviz.batch.input.stream import Stream

_KINDS: dict[type, str] = {
    str: "a string",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def read_jsonl(stream: Stream, reading: ReadOptions) -> Iterator[InputRow]:
    """Read the object in each line; blank lines are skipped."""
    decoded = Decoded(stream.pieces())
    for number, line in lines(decoded, reading.most):
        if line is None:
            yield failed_row(number, reading.too_long)
        elif line.strip():
            yield _row(number, line, reading, decoded.note)


def _row(number: int, line: str, reading: ReadOptions, note: str) -> InputRow:
    try:
        item = json.loads(line)
    except json.JSONDecodeError as error:
        return failed_row(number, f"broken JSON: {error.msg} (column {error.colno:,})")
    except ValueError:  # thousands of digits
        return failed_row(number, "broken JSON: a number in it is too long")
    except RecursionError:
        return failed_row(number, "broken JSON: it is nested too deeply")
    if not isinstance(item, dict):
        return failed_row(number, f"the line is {_kind(item)}, expected an object")
    return with_fields(_text(number, item, reading.field, note), item, reading)


def _text(number: int, item: dict[str, Any], field: str, note: str) -> InputRow:
    if field not in item:
        return failed_row(number, no_field(field, list(item)))
    text = item[field]
    if not isinstance(text, str):
        return failed_row(number, f"the field '{field}' is {_kind(text)}, expected a string")
    return text_row(number, text, note)


def _kind(item: Any) -> str:
    return _KINDS[type(item)]
