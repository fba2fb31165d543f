"""Clean text for display: nothing in it can move the cursor, change a colour or reverse the line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

import regex
from rich.cells import cell_len, set_cell_size

from attnviz.record import ATTENTION, Measure

_ELLIPSIS = "…"
_SPACES = {"\n": "⏎", "\r": "⏎", "\t": "⇥"}


@cache
def clean(text: str) -> str:
    """Return ``text`` as one line: control and bidirectional characters become visible or vanish, spaces become
    plain.
    """
    return "".join(map(_clean, text)) or "␣"


def _clean(character: str) -> str:
    if character in _SPACES:
        return _SPACES[character]
    category = unicodedata.category(character)
    if category == "Cc":
        code = ord(character)
        return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "�"
    if category == "Cf":
        # Joiners hold an emoji or a syllable together; other invisible characters could hide or reverse text.
        return character if character in "\u200c\u200d" else ""
    if category in ("Cs", "Co", "Cn"):
        return "�"
    return " " if category.startswith("Z") else character


def head_name(layer: int, head: int | None, measure: Measure = ATTENTION) -> str:
    """Return ``L5 H7``, or ``L5`` where a layer has one map; for the mean of its heads, ``L5, mean of its heads``."""
    if measure.by_layer:
        return f"L{layer}"
    return f"L{layer}, mean of its heads" if head is None else f"L{layer} H{head}"


def unit_of(measure: Measure, percent: str = "%") -> str:
    """Return in what the numbers of a map are, for a title: ``in % of its attention``, or the formula.

    ``percent`` is the unit of its ``Heatmap``, such as ``0.1 %`` or ``0.01``.
    """
    if measure.share:
        return f"in {percent} of its {measure.noun}"
    return f"{measure.formula}{f', in units of {percent}' if percent else ''}"


def shorten(text: str, most: int) -> str:
    """Return ``text``, cleaned and cut to ``most`` columns with an ellipsis."""
    text = clean(text)
    if cell_len(text) <= most:
        return text
    return set_cell_size(text, most - 1).rstrip() + _ELLIPSIS if most > 0 else ""


def shorten_left(text: str, most: int) -> str:
    """Return ``text``, cleaned and cut at its beginning to ``most`` columns with an ellipsis."""
    text = clean(text)
    if cell_len(text) <= most:
        return text
    kept, room = "", most - 1
    for letter in reversed(regex.findall(r"\X", text)):
        room -= cell_len(letter)
        if room < 0:
            break
        kept = letter + kept
    return _ELLIPSIS + kept.lstrip() if most > 0 else ""


def fit(text: str, width: int) -> str:
    """Return ``text``, cleaned and padded or cut to exactly ``width`` columns."""
    return set_cell_size(shorten(text, width), width)


def fit_right(text: str, size: int) -> str:
    """Return ``text``, cleaned and padded on the left, or cut, to exactly ``size`` columns."""
    short = shorten(text, size)
    return " " * (size - cell_len(short)) + short


def width(text: str) -> int:
    """Return the columns that ``text`` takes once cleaned."""
    return cell_len(clean(text))


def reads_right_to_left(labels: Iterable[str]) -> bool:
    """Whether words side by side go from right to left, as the first letter among them says; the page does the same."""
    first = next((character for label in labels for character in label if character.isalpha()), "")
    return unicodedata.bidirectional(first or "a") in ("R", "AL")


def letters(text: str, most: int) -> list[str]:
    """Return the characters that a reader sees in ``text``, cleaned; of more than ``most`` the last is an ellipsis."""
    found: list[str] = regex.findall(r"\X", clean(text))
    return found if len(found) <= most else [*found[: most - 1], "⋮"]
