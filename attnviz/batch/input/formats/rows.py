"""The rows that all formats make: of a text, or of the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnviz.batch.input.decoding import mend
from attnviz.batch.input.options import InputRow, ReadOptions
from attnviz.batch.kept import as_text
from attnviz.encoding.pair_lines import SEPARATOR, pair_lines

_FIELDS = 12
_LETTERS = 40
PAIRS_AS_ONE = (
    f"lines look like pairs, 'source {SEPARATOR} target', and are read as one text: batch --target-field reads pairs"
)
"""The note of a text that may have been meant as pairs."""


def text_row(line: int | None, text: str, note: str = "", *, what: str = "text") -> InputRow:
    """The row of a ``text``, with U+FFFD for lone surrogates, which no model reads. An empty text is a failed row."""
    if not text.strip():
        return failed_row(line, f"the {what} is empty")
    text, lost = mend(text)
    if lost:
        what = "1 character that can't be read is" if lost == 1 else f"{lost:,} characters that can't be read are"
        note = "; ".join(filter(None, (note, f"{what} replaced by U+FFFD")))
    return InputRow(line, text, note=note)


def pair_row(line: int | None, text: str, target: str, note: str = "") -> InputRow:
    """The row of a pair of texts; a failed row where one of them is empty."""
    row, other = text_row(line, text, note, what="source"), text_row(line, target, what="target")
    if row.reason or other.reason:
        return row if row.reason else other
    return replace(row, target=other.text, note="; ".join(filter(None, (row.note, other.note))))


def plain_row(line: int | None, text: str, note: str, *, what: str = "text") -> InputRow:
    """The row of a plain text; noted where its lines are those of pairs, which are not read."""
    if pair_lines(text):
        note = "; ".join(filter(None, (note, PAIRS_AS_ONE)))
    return text_row(line, text, note, what=what)


def line_row(line: int, text: str, note: str, reading: ReadOptions) -> InputRow:
    """The row of a line of plain text, which has a pair where pairs are read."""
    if reading.target is None:
        return plain_row(line, text, note, what="line" if reading.blank else "text")
    source, separator, target = text.partition(SEPARATOR)
    if not text.strip():
        return failed_row(line, "the line is empty")
    if not separator or SEPARATOR in target:
        count = text.count(SEPARATOR)
        return failed_row(line, f"the line has {SEPARATOR} {count} times, expected one pair: source {SEPARATOR} target")
    return pair_row(line, source.strip(), target.strip(), note)


def failed_row(line: int | None, reason: str) -> InputRow:
    """The row of a document that could not be read."""
    return InputRow(line, reason=mend(reason)[0])


def with_fields(row: InputRow, fields: Mapping[str, Any], reading: ReadOptions) -> InputRow:
    """The ``row`` with its target, and with those of its ``fields`` that are kept; nested values become text."""
    if reading.target is not None and not row.reason:
        row = _with_target(row, fields, reading.target)
    if not reading.keep:
        return row
    kept = {
        name: as_text(value) if isinstance(value, dict | list) else value
        for name, value in fields.items()
        if reading.keeps(name)
    }
    return replace(row, kept=kept, columns=tuple(fields))


def _with_target(row: InputRow, fields: Mapping[str, Any], name: str) -> InputRow:
    if name not in fields:
        return failed_row(row.line, no_field(name, list(fields)))
    target = fields[name]
    if not isinstance(target, str):
        return failed_row(row.line, f"the field '{name}' has no text")
    return pair_row(row.line, row.text, target, row.note)


def no_field(wanted: str, fields: Sequence[str], kind: str = "field") -> str:
    """The reason of a row without the field of the text; it lists the ``fields`` that there are."""
    return f"no {kind} '{wanted}': there {'are' if len(fields) > 1 else 'is'} {_listed(fields)}"


def _listed(fields: Sequence[str]) -> str:
    names: Iterable[str] = (name if len(name) <= _LETTERS else f"{name[:_LETTERS]}…" for name in fields[:_FIELDS])
    more = f" and {len(fields) - _FIELDS:,} more" if len(fields) > _FIELDS else ""
    return (", ".join(names) or "none") + more
