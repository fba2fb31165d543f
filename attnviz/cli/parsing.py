"""What the values of options mean: heads, crops, lengths and weights."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attnviz.cli.reading import decode_argument
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.record import Crop, Heads
    from attnviz.record.request import Span


def parse_heads(layer: str | None, head: str | None) -> Heads:
    """``--layer`` and ``--head``: a number, a list, ranges; ``mean`` for the heads."""
    from attnviz.record import Heads

    mean = head == "mean"
    return Heads(_numbers("--layer", layer), None if mean else _numbers("--head", head), mean)


def _numbers(option: str, value: str | None) -> tuple[int, ...] | None:
    """``1,4-6`` as (1, 4, 5, 6), each number once."""
    if value is None:
        return None
    numbers: list[int] = []
    for part in value.split(","):
        first, dash, last = part.strip().partition("-")
        # Six digits are more layers than any model has, and keep a range from filling the memory.
        if not (first.isdecimal() and len(first) < 6 and (not dash or (last.isdecimal() and len(last) < 6))):
            also = ", or mean" if option == "--head" else ""
            raise UsageError(f"{option} is {value!r}, expected numbers such as 3 or 1,4-6{also}")
        numbers += range(int(first), int(last or first) + 1)
    if not numbers:
        raise UsageError(f"{option} is {value!r}: the range is empty")
    return tuple(dict.fromkeys(numbers))


def parse_top(value: str) -> int | None:
    """``--top``: a number, or ``all``, which is None."""
    if value == "all":
        return None
    if not value.isdecimal() or not 0 < int(value) < 10**9:
        raise UsageError(f"--top is {value!r}, expected a number from 1 on, or all")
    return int(value)


def parse_crop(rows: str | None, columns: str | None) -> Crop:
    """``--rows`` and ``--cols``: ``3:40`` from 3 to 39, ``3:`` to the end, ``:40`` from the start, ``3`` alone; or a
    word (``the:2``).
    """
    from attnviz.record import Crop

    return Crop(_span("--rows", rows), _span("--cols", columns))


def _span(option: str, value: str | None) -> Span | str:
    if value is None:
        return None, None
    value = decode_argument(value).strip()
    # No text has numbers of ten digits, and Python reads no number of thousands of them.
    found = re.fullmatch(r"(?=.*[0-9])([0-9]{1,9})?(:)?([0-9]{1,9})?", value)
    if not found and re.search(r"[^0-9:\-\s]", value):
        return value
    if not found or (found[3] and not found[2]):
        raise UsageError(f"{option} is {value!r}, expected numbers such as 3:40, 3:, :40 or 3, or a word")
    start, stop = (None if part is None else int(part) for part in (found[1], found[3]))
    return (start, stop) if found[2] else (start, int(found[1]) + 1)


def parse_inches(value: str | None) -> tuple[float, float] | None:
    """``8x6`` as inches, width and height."""
    if value is None:
        return None
    try:
        width, height = (float(part) for part in value.lower().split("x"))
    except ValueError:
        width = height = 0.0
    if not (1 <= width <= 100 and 1 <= height <= 100):
        raise UsageError(f"--size is {value!r}, expected width x height in inches from 1 to 100, such as 8x6")
    return width, height


_INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72}
"""Inches by unit of length."""


def parse_width(value: str | None) -> float | None:
    """``3.3in``, ``84mm``, ``8.4cm`` or ``240pt`` as inches."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*([0-9]{1,5}(?:\.[0-9]{1,6})?)\s*(in|cm|mm|pt)\s*", value.lower())
    inches = float(found[1]) * _INCHES[found[2]] if found else 0.0
    if not 1 <= inches <= 100:
        expected = "expected a width from 1 to 100 inches with its unit, such as 3.3in, 84mm, 8.4cm or 240pt"
        raise UsageError(f"--width is {value!r}, {expected}")
    return inches


def parse_weight(option: str, value: str | None) -> float | None:
    """``0.5`` or ``50%`` as a weight above 0; more than 1 may be a norm."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*([0-9]{0,4}\.?[0-9]{0,12})\s*(%)?\s*", value)
    try:
        weight = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    except ValueError:
        weight = 0.0
    if not weight > 0 or (value.endswith("%") and weight > 1):
        raise UsageError(f"{option} is {value!r}, expected a weight above 0 and at most 1, such as 0.5 or 50%")
    return weight
