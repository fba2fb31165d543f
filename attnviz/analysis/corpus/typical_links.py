"""Which words link typically in a corpus, and the longest links of it, in memory that stays flat.

Words are the same whatever their case. A pair counts once a document, by its strongest link there. Typical are pairs
that link in more documents than they would by chance, as often as both words link there at all: by the log-likelihood
ratio (Dunning 1993), so that words that are everywhere, which are function words in any language, do not lead.

The pairs that are seen most are kept as by the space-saving algorithm (Metwally et al. 2005), of which many are dropped
at once: no pair that occurs in more than ``missed`` documents is lost, and no count is too low by more than that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Numbers = NDArray[np.int64]

KEPT = 10_000
"""How many pairs are kept when there are too many, which is at twice as many."""
WORDS = 50_000
"""So many words are kept when there are too many: the commonest."""
TIMES = 2
"""In so many typical pairs a word is at most: an address that recurs would fill the table with its pieces."""
LONG_WEIGHT = 0.1
"""A link of less weight than this is not among the longest: any head gives some weight to far words."""


@dataclass(frozen=True, eq=False)
class LinkRows:
    """Links of many documents, an entry each; ``query`` and ``key`` are numbers of ``words``.

    ``layer`` is the model's own number, ``distance`` is in words.
    """

    document: NDArray[np.int64]
    layer: NDArray[np.integer[Any]]
    head: NDArray[np.integer[Any]]
    query: NDArray[np.integer[Any]]
    key: NDArray[np.integer[Any]]
    distance: NDArray[np.integer[Any]]
    weight: NDArray[np.floating[Any]]
    words: Sequence[str]

    def __len__(self) -> int:
        return len(self.weight)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One link: in document number ``document`` ``query`` gives ``weight`` to ``key``, ``distance`` words away."""

    document: int
    layer: int
    head: int
    query: str
    key: str
    distance: int
    weight: float


@dataclass(frozen=True)
class TypicalPair:
    """Two words that link in ``documents`` documents, or in up to ``missed`` more; by chance it would be ``expected``.

    ``weight`` is the mean over the documents of their strongest link, and ``strongest`` the strongest of all.
    """

    documents: int
    missed: int
    expected: float
    weight: float
    strongest: Occurrence


@dataclass(slots=True)
class _Seen:
    """What is known of a pair so far."""

    documents: int
    missed: int
    weight: float  # the sum over the documents
    strongest: Occurrence

    @property
    def rank(self) -> tuple[float, float, str, str]:
        """Sorts the pairs that link in most documents first, and of those the strongest."""
        best = self.strongest
        return -self.documents, -self.weight / self.documents, best.query.lower(), best.key.lower()


class PairCounter:
    """Counts in how many documents two words link, leaving out pairs with one that is in ``without``."""

    def __init__(self, kept: int = KEPT, without: Set[str] = frozenset()) -> None:
        self._kept, self._without = kept, without
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._words: Counter[str] = Counter()  # in how many documents each is in a link
        self.missed = 0
        """No pair that occurs in more documents than this was dropped."""

    def add(self, links: LinkRows) -> None:
        """Count the ``links`` of documents that were not counted yet."""
        lower, same = _words(links)
        pair = _pairs(links, same)
        left = np.array([word not in self._without for word in lower], bool)
        order = np.lexsort((-links.weight, pair, links.document))
        rows = _first(order[left[links.query[order]] & left[links.key[order]]], links.document, pair)
        self._count_words(links.document[rows], same[links.query[rows]], same[links.key[rows]], lower)
        rows = rows[np.lexsort((links.document[rows], -links.weight[rows], pair[rows]))]
        begins = np.flatnonzero(np.diff(pair[rows], prepend=-1))
        counts = np.diff(begins, append=len(rows)).tolist()
        sums = np.add.reduceat(links.weight[rows].astype(np.float64), begins).tolist() if len(rows) else []
        best = rows[begins]
        for name, count, weight, found in zip(
            zip((lower[i] for i in links.query[best]), (lower[i] for i in links.key[best]), strict=True),
            counts,
            sums,
            _occurrences(links, best),
            strict=True,
        ):
            self._count(name, count, weight, found)
        self._prune()

    def _count_words(self, document: Numbers, query: Numbers, key: Numbers, lower: Sequence[str]) -> None:
        room = max(len(lower), 1)
        once = np.unique(np.concatenate([document * room + query, document * room + key]))  # each word of a document
        words, counts = np.unique(once % room, return_counts=True)
        for word, count in zip(words.tolist(), counts.tolist(), strict=True):
            self._words[lower[word]] += count

    def _count(self, name: tuple[str, str], count: int, weight: float, found: Occurrence) -> None:
        seen = self._seen.get(name)
        if seen is None:
            self._seen[name] = _Seen(count, self.missed, weight, found)
            return
        seen.documents += count
        seen.weight += weight
        if found.weight > seen.strongest.weight:
            seen.strongest = found

    def merge(self, other: PairCounter) -> None:
        """Add all that ``other`` has counted, of later documents (Agarwal et al. 2012: the bound stays one)."""
        for name, seen in self._seen.items():
            if name not in other._seen:
                seen.missed += other.missed
        for name, theirs in other._seen.items():
            before = self._seen.get(name)
            if before is None:
                self._seen[name] = replace(theirs, missed=theirs.missed + self.missed)
            else:
                self._count(name, theirs.documents, theirs.weight, theirs.strongest)
                before.missed += theirs.missed
        self.missed += other.missed
        self._words.update(other._words)
        self._prune()

    def _prune(self) -> None:
        if len(self._words) > 2 * WORDS:
            self._words = Counter(dict(self._words.most_common(WORDS)))
        if len(self._seen) <= 2 * self._kept:
            return
        ranked = sorted(self._seen.items(), key=lambda item: item[1].rank)
        self._seen = dict(ranked[: self._kept])
        self.missed = max(self.missed, *(seen.documents + seen.missed for _, seen in ranked[self._kept :]))

    def top(self, count: int, documents: int) -> list[TypicalPair]:
        """The ``count`` most typical pairs of so many ``documents``, each in the direction that is more typical.

        Those that recur come first; of those that are as typical that in most documents, and then the strongest. A word
        is in ``TIMES`` of them at most.
        """

        def rank(item: tuple[tuple[str, str], _Seen]) -> tuple[Any, ...]:
            (query, key), seen = item
            return seen.documents < 2, -self._ratio(query, key, seen.documents, documents), seen.rank

        found: dict[frozenset[str], TypicalPair] = {}
        times: Counter[str] = Counter()
        for (query, key), seen in sorted(self._seen.items(), key=rank):
            if len(found) == count:
                break
            ends = frozenset((query, key))
            if ends in found or max(times[word] for word in ends) == TIMES:
                continue
            times.update(ends)
            one, other = self._each(query, key, seen.documents)
            weight, expected = seen.weight / seen.documents, one * other / documents
            found[ends] = TypicalPair(seen.documents, seen.missed, expected, weight, seen.strongest)
        return list(found.values())

    def _each(self, query: str, key: str, both: int) -> tuple[int, int]:
        """In how many documents each word links; of one that was dropped, ``both`` are known."""
        return max(self._words[query], both), max(self._words[key], both)

    def _ratio(self, query: str, key: str, both: int, documents: int) -> float:
        """The log-likelihood ratio of words that link in ``both``; below 0 where that is less often than by chance."""
        one, other = self._each(query, key, both)
        cells = both, one - both, other - both, max(documents - one - other + both, 0)
        margins = one, documents - one, other, documents - other
        ratio = 2 * (sum(map(_weighed, cells)) - sum(map(_weighed, margins)) + _weighed(documents))
        return ratio if both * documents >= one * other else -ratio


class LongestLinks:
    """The links over the most words, one of each document and each pair of words."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self.links: list[Occurrence] = []
        """From the longest on; of those that are as long the strongest first."""

    def add(self, links: LinkRows) -> None:
        """Look through the ``links`` of documents that were not seen yet."""
        length = np.abs(links.distance)
        order = np.lexsort((links.head, links.layer, -links.weight, -length, links.document))
        rows = _first(order[links.weight[order] >= LONG_WEIGHT], links.document)
        pair = _pairs(links, _words(links)[1])
        rows = _first(rows[np.lexsort((links.document[rows], -links.weight[rows], -length[rows], pair[rows]))], pair)
        rows = rows[np.lexsort((links.document[rows], -links.weight[rows], -length[rows]))][: self._kept]
        self._keep(_occurrences(links, rows))

    def merge(self, other: LongestLinks) -> None:
        """Look through those of later documents that ``other`` has."""
        self._keep(other.links)

    def _keep(self, links: Sequence[Occurrence]) -> None:
        found = sorted([*self.links, *links], key=_by_length)
        pairs: dict[tuple[str, str], Occurrence] = {}
        for link in found:
            pairs.setdefault((link.query.lower(), link.key.lower()), link)
        self.links = list(pairs.values())[: self._kept]


def _weighed(count: int) -> float:
    """``count`` · log ``count``, which is 0 at 0."""
    return count * math.log(count) if count else 0.0


def _words(links: LinkRows) -> tuple[list[str], Numbers]:
    """The words in lower case, and for each a number that is the same whatever its case."""
    lower = [word.lower() for word in links.words]
    numbers = {word: i for i, word in enumerate(lower)}
    return lower, np.array([numbers[word] for word in lower], np.int64)


def _pairs(links: LinkRows, same: Numbers) -> Numbers:
    """For each link a number of its two words."""
    found: Numbers = same[links.query] * max(len(same), 1) + same[links.key]
    return found


def _by_length(link: Occurrence) -> tuple[int, float, int]:
    return -abs(link.distance), -link.weight, link.document


def _first(order: Rows, *groups: NDArray[np.int64]) -> Rows:
    """Of rows in their ``order`` the first of each group."""
    new = np.zeros(len(order), bool)
    new[:1] = True
    for group in groups:
        new[1:] |= np.diff(group[order]) != 0
    return order[new]


def _occurrences(links: LinkRows, rows: Rows) -> list[Occurrence]:
    words = links.words
    columns = (links.document, links.layer, links.head, links.query, links.key, links.distance, links.weight)
    return [
        Occurrence(document, layer, head, words[query], words[key], distance, weight)
        for document, layer, head, query, key, distance, weight in zip(
            *(column[rows].tolist() for column in columns), strict=True
        )
    ]
