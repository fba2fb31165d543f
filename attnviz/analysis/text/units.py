"""A text read in words or in tokens: their labels, and which of them carry content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.languages import ENGLISH, function_words, plain
from attnviz.encoding import Encoding, WordSpans, is_blank, is_punctuation
from attnviz.record import Observation, Unit

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Axis:
    """The words or tokens of one text, and which of them carry content.

    ``special``, ``punctuation`` and ``function`` (function words) mark what is no content; a unit has at most one.
    """

    labels: tuple[str, ...]
    special: Mask
    punctuation: Mask
    function: Mask

    @property
    def content(self) -> Mask:
        """What is neither a special token nor punctuation nor a function word."""
        return ~(self.special | self.punctuation | self.function)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels, with ``:1``, ``:2`` … behind those that occur more than once, as ``find_unit`` reads them."""
        times = Counter(label.casefold() for label in self.labels)
        seen: Counter[str] = Counter()
        names = []
        for label in self.labels:
            key = label.casefold()
            seen[key] += 1
            names.append(f"{label}:{seen[key]}" if times[key] > 1 else label)
        return tuple(names)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Reading:
    """A record's words or tokens that look (n) and that are looked at (m).

    Where a text looks at itself, ``queries`` and ``keys`` are one object. ``layers`` are the L layers' own numbers,
    ``language`` the code of the language whose function words are marked.
    """

    kind: Unit
    queries: Axis
    keys: Axis
    layers: tuple[int, ...]
    language: str = ENGLISH

    @property
    def one_text(self) -> bool:
        """Whether the text looks at itself, and not at another."""
        return self.queries is self.keys


def read_in(
    kind: Unit, encoding: Encoding, keys: Encoding | None, layers: tuple[int, ...], language: str = ENGLISH
) -> Reading:
    """The words or tokens of ``encoding``, which look at those of ``keys``; None: at themselves."""
    queries = _axis(kind, encoding, language)
    return Reading(kind, queries, queries if keys is None else _axis(kind, keys, language), layers, language)


def reading_of(observation: Observation, unit: Unit | None = None) -> Reading:
    """What was observed in its own units, or in others."""
    return read_in(
        unit or observation.unit,
        observation.encoding,
        observation.keys,
        observation.layer_numbers,
        observation.language,
    )


def within(kind: Unit, encoding: Encoding, passage: str) -> Mask:
    """Which words or tokens of a text are in ``passage``, wherever the text has it, (n,).

    Raises:
        UsageError: the text does not have it.
    """
    words = np.zeros(len(encoding.words), bool)
    for start, stop in WordSpans(encoding).find(passage):
        words[start:stop] = True
    return words if kind == "word" else np.repeat(words, [word.stop - word.start for word in encoding.words])


def makers_of(encoding: Encoding) -> range:
    """The queries that predicted the tokens that the model wrote: each the token before; the first token has none."""
    n = len(encoding)
    return range(max(n - encoding.generated, 1) - 1, n - 1)


def is_function_word(text: str, language: str = ENGLISH) -> bool:
    """Whether ``text`` is one of the function words of a language, however it is written."""
    return plain(text) in function_words(language)


def _axis(kind: Unit, encoding: Encoding, language: str) -> Axis:
    """In tokens, white space alone is punctuation too: in words it is never by itself."""
    words = encoding.words
    special = np.array(encoding.special)
    punctuation = np.array([is_punctuation(word.text) for word in words])
    function = np.array([is_function_word(word.text, language) for word in words])
    if kind == "word":
        labels, special = tuple(word.text for word in words), special[[word.start for word in words]]
    else:
        labels, times = encoding.tokens, [word.stop - word.start for word in words]
        blank = np.array([is_blank(token) for token in labels])
        punctuation, function = (np.repeat(marks, times) for marks in (punctuation, function))
        punctuation, function = punctuation | blank, function & ~blank
    return Axis(labels, special, punctuation & ~special, function & ~special)
