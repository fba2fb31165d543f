"""A column of the input that is kept in the table of the documents: its type, and how its values are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 40
_LARGEST = 1 << 63
_EXACT = 1 << 53


@dataclass(frozen=True)
class KeptColumn:
    """A column of the input that is kept: its ``name`` there, its name as a ``column`` here, and its Arrow ``type``."""

    name: str
    column: str
    type: str


def type_of(values: Iterable[Any]) -> str:
    """The Arrow type of a column with these ``values``, null or not: text where they are of several types."""
    there = [value for value in values if value is not None]
    for kind, fits in _FITS.items():
        if there and all(fits(value) is not None for value in there):
            return kind
    return "string"


def _whole(value: Any) -> int | None:
    return value if type(value) is int and -_LARGEST <= value < _LARGEST else None


def _number(value: Any) -> float | None:
    """The value as a float; None for a whole number that a float can't hold exactly."""
    return float(value) if type(value) is float or (type(value) is int and abs(value) <= _EXACT) else None


def _moment(value: Any, *, zoned: bool) -> datetime | None:
    return value if isinstance(value, datetime) and (value.tzinfo is not None) == zoned else None


_FITS: dict[str, Callable[[Any], Any]] = {
    "bool": lambda value: value if type(value) is bool else None,
    "int64": _whole,
    "double": _number,
    "string": lambda value: value if isinstance(value, str) else None,
    "timestamp[us]": lambda value: _moment(value, zoned=False),
    "timestamp[us, tz=UTC]": lambda value: _moment(value, zoned=True),
    "date32": lambda value: value if type(value) is date else None,
    "time64[us]": lambda value: value if isinstance(value, time) else None,
}
"""The types of columns by their Arrow names. Each function returns a value as kept, or None if it does not fit."""


def fitting(value: Any, column: KeptColumn) -> tuple[Any, str]:
    """The ``value`` as the ``column`` holds it, and a note if it does not fit the type and becomes null."""
    if value is None:
        return None, ""
    if column.type == "string":
        return value if isinstance(value, str) else as_text(value), ""
    found = _FITS[column.type](value)
    if found is not None:
        return found, ""
    shown = as_text(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return None, f"{column.name} is not kept: {shown} is no {column.type}"


def as_text(value: Any) -> str:
    """Any value as text: as JSON if it is nested or a truth value."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    try:
        return (
            json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, bool | dict | list) else str(value)
        )
    except RecursionError:
        return "(nested too deeply)"


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of this name."""
    import pyarrow as pa

    return pa.timestamp("us", "UTC") if name.endswith("tz=UTC]") else pa.type_for_alias(name)
