"""A record read in words or in tokens: labels, weights, and which of them carry content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding import is_punctuation
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

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Units:
    """The n words or tokens of a record, and the weights between them, (L, H, n, n).

    ``special``, ``punctuation`` and ``function`` (function words) mark what is no content; a unit has at most one.
    """

    kind: Literal["word", "token"]
    labels: tuple[str, ...]
    weights: Array
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


def in_words(attention: Attention) -> Units:
    """Word weights: summed over the key's pieces, averaged over the query's (Clark et al. 2019)."""
    starts = [word.start for word in attention.encoding.words]
    weights = np.add.reduceat(attention.weights, starts, axis=-1)  # (L, H, N, M) → (L, H, N, words)
    weights = np.add.reduceat(weights, starts, axis=-2)
    weights /= np.diff([*starts, len(attention.tokens)])[:, None].astype(weights.dtype)
    return Units("word", attention.words, weights, *_marks(attention, np.array(starts)))


def in_tokens(attention: Attention) -> Units:
    """Token weights as they are; a token is a function word where the word that it is a piece of is one."""
    words = attention.encoding.words
    starts = np.repeat([word.start for word in words], [word.stop - word.start for word in words])
    return Units("token", attention.tokens, attention.weights, *_marks(attention, starts))


def _marks(attention: Attention, starts: NDArray[np.int_]) -> tuple[Mask, Mask, Mask]:
    """Special, punctuation and function, for units whose words start at the tokens ``starts``."""
    texts = {word.start: word.text for word in attention.encoding.words}
    special = np.array(attention.encoding.special)[starts]
    punctuation = np.array([is_punctuation(texts[start]) for start in starts]) & ~special
    function = np.array([texts[start].casefold().replace("’", "'") in FUNCTION_WORDS for start in starts])
    return special, punctuation, function & ~special
