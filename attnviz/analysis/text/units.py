"""The units of a text, from tokens to paragraphs: their first tokens, labels, and which of them carry content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.languages import ENGLISH, function_words, plain
from attnviz.encoding import Encoding, Spans, WordSpans, is_blank, is_punctuation, large_units
from attnviz.record import ATTENTION, Measure, Observation, Unit

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Axis:
    """The units of one text, and which of them carry content.

    ``starts`` are their first tokens. ``special``, ``punctuation`` and ``function`` mark special tokens, punctuation
    and function words, which carry no content; a unit has at most one of these marks. Units larger than words have the
    numbers of the ``lines`` on which they begin; the first one is marked as special if it is the sink of a causal
    model.
    """

    labels: tuple[str, ...]
    starts: NDArray[np.intp]
    special: Mask
    punctuation: Mask
    function: Mask
    lines: tuple[int, ...] = ()

    @property
    def content(self) -> Mask:
        """What is neither a special token nor punctuation nor a function word."""
        return ~(self.special | self.punctuation | self.function)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels, with ``:1``, ``:2`` … behind those that occur more than once, as ``find_unit`` reads them.

        Units larger than words have their number in front.
        """
        if self.lines:
            return tuple(f"{number} {label}" for number, label in enumerate(self.labels))
        return numbered(self.labels)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Reading:
    """A record's units that look (n) and that are looked at (m).

    Where a text looks at itself, ``queries`` and ``keys`` are one object. ``layers`` are the L layers' own numbers,
    ``language`` the code of the language whose function words are marked. ``measure`` is what the weights between the
    units are.
    """

    kind: Unit
    queries: Axis
    keys: Axis
    layers: tuple[int, ...]
    language: str = ENGLISH
    measure: Measure = ATTENTION

    @property
    def one_text(self) -> bool:
        """Whether the text looks at itself, and not at another."""
        return self.queries is self.keys


def numbered(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels, with ``:1``, ``:2`` … behind those that occur more than once."""
    times = Counter(label.casefold() for label in labels)
    seen: Counter[str] = Counter()
    names = []
    for label in labels:
        key = label.casefold()
        seen[key] += 1
        names.append(f"{label}:{seen[key]}" if times[key] > 1 else label)
    return tuple(names)


def read_in(
    kind: Unit,
    encoding: Encoding,
    keys: Encoding | None,
    layers: tuple[int, ...],
    language: str = ENGLISH,
    *,
    causal: bool = False,
) -> Reading:
    """The units of ``encoding``, which look at those of ``keys``; None: at themselves."""
    queries = _axis(kind, encoding, language, causal=causal and keys is None)
    return Reading(kind, queries, queries if keys is None else _axis(kind, keys, language), layers, language)


def reading_of(observation: Observation, unit: Unit | None = None) -> Reading:
    """What was observed in its own units, or in others."""
    found = read_in(
        unit or observation.unit,
        observation.encoding,
        observation.keys,
        observation.layer_numbers,
        observation.language,
        causal=observation.causal,
    )
    return replace(found, measure=observation.measure)


def within(kind: Unit, encoding: Encoding, passage: str) -> Mask:
    """Which words or tokens of a text are in ``passage``, wherever the text has it, (n,).

    Raises:
        UsageError: the text does not have it.
    """
    words = np.zeros(len(encoding.words), bool)
    for start, stop in WordSpans(encoding).find(passage):
        words[start:stop] = True
    return words if kind == "word" else np.repeat(words, [word.stop - word.start for word in encoding.words])


def left_out(encoding: Encoding, units: Reading) -> dict[str, Mask]:
    """The tokens that are looked at and are in special units, or in punctuation, (M,) each."""
    keys = units.keys
    lengths = np.diff([*keys.starts, len(encoding)])
    marks = {"special": keys.special, "punctuation": keys.punctuation}
    return {name: np.repeat(mask, lengths) for name, mask in marks.items()}


def makers_of(encoding: Encoding) -> range:
    """The queries that predicted the tokens that the model wrote: each the token before; the first token has none."""
    n = len(encoding)
    return range(max(n - encoding.generated, 1) - 1, n - 1)


def is_function_word(text: str, language: str = ENGLISH) -> bool:
    """Whether ``text`` is one of the function words of a language, however it is written."""
    return plain(text) in function_words(language)


def _axis(kind: Unit, encoding: Encoding, language: str, *, causal: bool = False) -> Axis:
    """In tokens, white space alone is punctuation too: in words it is never by itself."""
    if kind != "word" and kind != "token":
        return _large_axis(large_units(kind, encoding, causal=causal), encoding)
    words = encoding.words
    special = np.array(encoding.special)
    punctuation = np.array([is_punctuation(word.text) for word in words])
    function = np.array([is_function_word(word.text, language) for word in words])
    starts = np.array([word.start for word in words])
    if kind == "word":
        labels, special = tuple(word.text for word in words), special[starts]
    else:
        starts = np.arange(len(encoding))
        labels, times = encoding.tokens, [word.stop - word.start for word in words]
        blank = np.array([is_blank(token) for token in labels])
        punctuation, function = (np.repeat(marks, times) for marks in (punctuation, function))
        punctuation, function = punctuation | blank, function & ~blank
    return Axis(labels, starts, special, punctuation & ~special, function & ~special)


def _large_axis(spans: Spans, encoding: Encoding) -> Axis:
    special, starts = np.array(spans.special), np.array(spans.starts)
    special[0] |= spans.sink
    tokens = np.repeat(
        [is_punctuation(word.text) for word in encoding.words], [w.stop - w.start for w in encoding.words]
    )
    punctuation = np.logical_and.reduceat(tokens, starts) & ~special
    return Axis(spans.labels, starts, special, punctuation, np.zeros(len(spans), bool), spans.lines)
