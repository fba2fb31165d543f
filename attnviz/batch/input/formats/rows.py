"""The rows that all formats make: of a text, or of the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnviz.batch.input.decoding import mend
from attnviz.batch.input.options import InputRow, ReadOptions
from attnviz.batch.kept import as_text

_FIELDS = 12
_LETTERS = 40


def text_row(line: int | None, text: str, note: str = "") -> InputRow:
    """The row of a ``text``, with U+FFFD for lone surrogates, which no model reads. An empty text is a failed row."""
    if not text.strip():
        return failed_row(line, "the text is empty")
    text, lost = mend(text)
    if lost:
        what = "1 character that can't be read is" if lost == 1 else f"{lost:,} characters that can't be read are"
        note = "; ".join(filter(None, (note, f"{what} replaced by U+FFFD")))
    return InputRow(line, text, note=note)


def failed_row(line: int | None, reason: str) -> InputRow:
    """The row of a document that could not be read."""
    return InputRow(line, reason=mend(reason)[0])


def with_fields(row: InputRow, fields: Mapping[str, Any], reading: ReadOptions) -> InputRow:
    """The ``row`` with those of its ``fields`` that are kept; nested values become text."""
    if not reading.keep:
        return row
    kept = {
        name: as_text(value) if isinstance(value, dict | list) else value
        for name, value in fields.items()
        if reading.keeps(name)
    }
    return replace(row, kept=kept, columns=tuple(fields))


def no_field(wanted: str, fields: Sequence[str], kind: str = "field") -> str:
    """The reason of a row without the field of the text; it lists the ``fields`` that there are."""
    return f"no {kind} '{wanted}': there {'are' if len(fields) > 1 else 'is'} {_listed(fields)}"


def _listed(fields: Sequence[str]) -> str:
    names: Iterable[str] = (name if len(name) <= _LETTERS else f"{name[:_LETTERS]}…" for name in fields[:_FIELDS])
    more = f" and {len(fields) - _FIELDS:,} more" if len(fields) > _FIELDS else ""
    return (", ".join(names) or "none") + more
