"""A text read in words or in tokens: their labels, which of them carry content, and the weights between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding import Encoding, WordSpans, is_blank, is_punctuation
from attnviz.record import Array, Attention

# The closed classes of English without personal pronouns and negation: determiners, prepositions, conjunctions,
# auxiliaries, particles. In other languages nothing is taken for a function word.
FUNCTION_WORDS = frozenset({
    "a", "an", "the", "this", "that", "these", "those", "some", "any", "each", "every", "either", "neither", "both",
    "all", "such", "what", "which", "whose", "who", "whom", "when", "where", "why", "how", "there", "here",
    "of", "to", "in", "on", "at", "by", "for", "from", "with", "without", "within", "into", "onto", "upon", "about",
    "above", "across", "after", "against", "along", "among", "around", "as", "before", "behind", "below", "beneath",
    "beside", "between", "beyond", "down", "during", "except", "inside", "near", "off", "out", "outside", "over",
    "past", "since", "through", "throughout", "till", "toward", "towards", "under", "until", "up", "via", "than",
    "and", "or", "but", "nor", "so", "yet", "because", "although", "though", "while", "whereas", "if", "unless",
    "whether", "just", "also", "too", "very", "then", "thus",
    "am", "is", "are", "was", "were", "be", "been", "being", "do", "does", "did", "done", "have", "has", "had",
    "having", "will", "would", "shall", "should", "can", "could", "may", "might", "must", "ought",
    "i'm", "you're", "he's", "she's", "it's", "we're", "they're", "i've", "you've", "we've", "they've",
    "i'll", "you'll", "he'll", "she'll", "it'll", "we'll", "they'll", "that's", "there's",
})  # fmt: skip

# What carries content only by what it stands for, which is of interest within a text, and leads any count over many.
PRONOUNS = frozenset({
    "i", "me", "my", "mine", "myself", "you", "your", "yours", "yourself", "yourselves", "he", "him", "his", "himself",
    "she", "her", "hers", "herself", "it", "its", "itself", "we", "us", "our", "ours", "ourselves",
    "they", "them", "their", "theirs", "themselves",
})  # fmt: skip

Mask = NDArray[np.bool_]
Unit = Literal["word", "token"]


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

    Where a text looks at itself, ``queries`` and ``keys`` are one object. ``layers`` are the L layers' own numbers.
    """

    kind: Unit
    queries: Axis
    keys: Axis
    layers: tuple[int, ...]

    @property
    def one_text(self) -> bool:
        """Whether the text looks at itself, and not at another."""
        return self.queries is self.keys


@dataclass(frozen=True, eq=False)
class Units(Reading):
    """The words or tokens of a record, and all the weights between them, (L, H, n, m)."""

    weights: Array


def in_words(attention: Attention) -> Units:
    """Word weights: summed over the key's pieces, averaged over the query's (Clark et al. 2019)."""
    queries, keys = ([word.start for word in text.words] for text in (attention.encoding, attention.key_encoding))
    weights = np.add.reduceat(attention.weights, keys, axis=-1)  # (L, H, N, M) → (L, H, N, m)
    weights = np.add.reduceat(weights, queries, axis=-2)
    weights /= np.diff([*queries, len(attention.tokens)])[:, None].astype(weights.dtype)
    return _units("word", attention, weights)


def in_tokens(attention: Attention) -> Units:
    """Token weights as they are; a token is a function word where the word that it is a piece of is one."""
    return _units("token", attention, attention.weights)


def _units(kind: Unit, attention: Attention, weights: Array) -> Units:
    return Units(**vars(read_in(kind, attention.encoding, attention.keys, attention.layer_numbers)), weights=weights)


def read_in(kind: Unit, encoding: Encoding, keys: Encoding | None, layers: tuple[int, ...]) -> Reading:
    """The words or tokens of ``encoding``, which look at those of ``keys``; None: at themselves."""
    queries = _axis(kind, encoding)
    return Reading(kind, queries, queries if keys is None else _axis(kind, keys), layers)


def within(kind: Unit, encoding: Encoding, passage: str) -> Mask:
    """Which words or tokens of a text are in ``passage``, wherever the text has it, (n,).

    Raises:
        UsageError: the text does not have it.
    """
    words = np.zeros(len(encoding.words), bool)
    for start, stop in WordSpans(encoding).find(passage):
        words[start:stop] = True
    return words if kind == "word" else np.repeat(words, [word.stop - word.start for word in encoding.words])


def is_function_word(text: str) -> bool:
    """Whether ``text`` is one of ``FUNCTION_WORDS``, however it is written."""
    return text.casefold().replace("’", "'") in FUNCTION_WORDS


def _axis(kind: Unit, encoding: Encoding) -> Axis:
    """In tokens, white space alone is punctuation too: in words it is never by itself."""
    words = encoding.words
    special = np.array(encoding.special)
    punctuation, function = (
        np.array([carries(word.text) for word in words]) for carries in (is_punctuation, is_function_word)
    )
    if kind == "word":
        labels, special = tuple(word.text for word in words), special[[word.start for word in words]]
    else:
        labels, times = encoding.tokens, [word.stop - word.start for word in words]
        blank = np.array([is_blank(token) for token in labels])
        punctuation, function = (np.repeat(marks, times) for marks in (punctuation, function))
        punctuation, function = punctuation | blank, function & ~blank
    return Axis(labels, special, punctuation & ~special, function & ~special)
