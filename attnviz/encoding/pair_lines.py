"""Lines of plain text that each hold the two texts of a pair."""

from __future__ import annotations

SEPARATOR = "|||"
"""What stands between the texts of a pair in a line of plain text, as fast_align and others read it."""


def pair_lines(text: str) -> int:
    """How many pairs a text looks like: its lines, where each that is not blank has the separator once; else 0."""
    if SEPARATOR not in text:
        return 0
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines) if all(line.count(SEPARATOR) == 1 for line in lines) else 0
