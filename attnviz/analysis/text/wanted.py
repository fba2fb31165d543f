"""The places of a text that somebody asks for: a word, one of its occurrences, several words, or a pattern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import regex

from attnviz.analysis.text.links import find_in
from attnviz.analysis.text.units import Axis
from attnviz.encoding import Encoding, WordSpans
from attnviz.errors import UsageError
from attnviz.record import Unit

SECONDS = 5.0
"""How long a regular expression may search a text."""


@dataclass(frozen=True)
class Place:
    """Some units of a text that stand side by side.

    Attributes:
        name: the words, with the number of their occurrence where there are several.
        units: the first of them, and the one behind the last.
    """

    name: str
    units: tuple[int, int]

    @property
    def numbers(self) -> range:
        """The numbers of the units."""
        return range(*self.units)


def find_places(axis: Axis, encoding: Encoding, unit: Unit, wanted: str, text: str = "text") -> list[Place]:
    """The places of a text that read ``wanted``, in order.

    Args:
        axis: the units of the text.
        encoding: the text.
        unit: what its units are.
        wanted: a unit (``bank``), one of its occurrences (``bank:2``), what several units read together (``the bank``,
            ``and/or``, 银行), or a regular expression between slashes (``/ban.?/``), which whole units match in any
            case.
        text: what errors call the text.

    Raises:
        UsageError: there is none, or too few; a pattern that can't be read or takes too long.
    """
    if len(wanted) > 2 and wanted[0] == wanted[-1] == "/":
        return [Place(axis.names[i], (i, i + 1)) for i in _matching(axis, wanted[1:-1], unit)]
    known = wanted.casefold() in map(str.casefold, axis.labels)
    if unit in ("token", "word") and not known and len(wanted.split()) > 1:
        return _passages(encoding, unit, wanted)
    try:
        return [Place(axis.names[i], (i, i + 1)) for i in find_in(axis, wanted, unit, text)]
    except UsageError:
        if unit not in ("token", "word"):
            raise
        with suppress(UsageError):  # what a reader sees as one word may be several units
            return _passages(encoding, unit, wanted)
        raise


def _passages(encoding: Encoding, unit: Unit, wanted: str) -> list[Place]:
    """The places that read several words."""
    words, colon, number = wanted.rpartition(":")
    numbered = bool(colon) and number.isdecimal() and len(number) < 9
    spans = WordSpans(encoding).find(words if numbered else wanted)
    if unit == "token":
        starts = [word.start for word in encoding.words] + [len(encoding)]
        spans = [(starts[first], starts[last]) for first, last in spans]
    text = " ".join((words if numbered else wanted).split())
    places = [Place(f"{text}:{i}" if len(spans) > 1 else text, span) for i, span in enumerate(spans, 1)]
    if not numbered:
        return places
    if not 1 <= int(number) <= len(places):
        raise UsageError(f"no {wanted}: {text!r} occurs {len(places)} times", hint=f"Count from 1: {text}:1")
    return [places[int(number) - 1]]


def _matching(axis: Axis, pattern: str, unit: Unit) -> list[int]:
    """The units that a regular expression matches as a whole."""
    try:
        compiled = regex.compile(pattern, regex.IGNORECASE)
        found = [i for i, label in enumerate(axis.labels) if compiled.fullmatch(label, timeout=SECONDS)]
    except regex.error as error:
        raise UsageError(f"/{pattern}/ is no regular expression: {error}", hint="A word needs no slashes.") from None
    except TimeoutError:
        raise UsageError(f"/{pattern}/ takes more than {SECONDS:.0f} seconds on this text") from None
    if not found:
        common = [label for label, _ in Counter(axis.labels).most_common(8)]
        raise UsageError(
            f"no {unit} of the text matches /{pattern}/", hint=f"It has, among others: {', '.join(common)}"
        )
    return found


def units_of(places: Sequence[Place]) -> list[int]:
    """The units of all places, each once, in order."""
    return sorted({unit for place in places for unit in place.numbers})
