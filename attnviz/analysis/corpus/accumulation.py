"""Collect the findings on a corpus: its figures over all documents, its typical links, its outlying documents.

Documents are added part by part, in memory that does not grow with their number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.metrics import METRICS
from attnviz.analysis.corpus.modes import OFFSETS, POSITIONS, ModeCounter, Modes, from_either_end
from attnviz.analysis.corpus.outliers import Outlier, Outliers, Where
from attnviz.analysis.corpus.typical_links import LinkRows, LongestLinks, Occurrence, PairCounter, TypicalPair
from attnviz.analysis.languages import PRONOUNS
from attnviz.analysis.text.offsets import MIN_QUERIES

Figures = Mapping[str, NDArray[np.floating]]

AMOUNTS = tuple(metric for metric in METRICS if metric.kind == "amount")
"""The figures that have a mean."""
_GROUPS = 100
"""The most different reasons that are counted by themselves; further ones count as ``OTHER``."""
OTHER = "other reasons"
_NUMBER = re.compile(r"\d[\d,.]*(?<![,.])")
_MOST = 200
"""The most characters of a reason."""


@dataclass(frozen=True, eq=False)
class DocumentRows:
    """Documents, one entry each. ``reason`` says why a document was not measured; it is empty if it was.

    ``note`` is what the reader should know of a document, ``words`` the number of words of its text, and ``special``
    how many of its ``tokens`` are special.
    """

    number: NDArray[np.int64]
    source: Sequence[str]
    line: Sequence[int | None]
    words: NDArray[np.int64]
    tokens: NDArray[np.int64]
    reason: Sequence[str]
    note: Sequence[str]
    special: NDArray[np.int64]
    row: Sequence[int | None] = ()

    def where(self, row: int) -> Where:
        """The number and origin of the document in a ``row``."""
        place = self.row[row] if self.row else None
        return Where(int(self.number[row]), self.source[row], self.line[row], int(self.tokens[row]), place)


@dataclass(frozen=True)
class Counts:
    """How many documents there are, and the words and tokens of those that were measured.

    ``short`` is the number of documents with fewer than ``MIN_QUERIES`` tokens, special ones not counted.
    """

    documents: int = 0
    failed: int = 0
    words: int = 0
    tokens: int = 0
    links: int = 0
    short: int = 0

    @property
    def measured(self) -> int:
        """The documents that did not fail."""
        return self.documents - self.failed

    @property
    def left_out(self) -> str:
        """The note on short documents, which some findings leave out; empty if there are none."""
        if not self.short:
            return ""
        one = self.short == 1
        count, they = ("1 document has", "it is") if one else (f"{self.short:,} documents have", "they are")
        below = f"fewer than {MIN_QUERIES} tokens, special ones not counted"
        return f"{count} {below}: {they} left out of offsets, the role positional and outlying documents"


@dataclass(frozen=True)
class Reason:
    """Why documents failed, or what was noted of them, and how many; ``text`` is that of the ``first`` document."""

    text: str
    documents: int
    first: Where


@dataclass(frozen=True, eq=False)
class Corpus:
    """The findings on a corpus, for a model of L layers with H heads.

    ``figures`` are those of each head by the names of ``AMOUNTS``; ``modes`` what is commonest over the documents:
    ``offset``, with the mean share of a document's tokens that look there, and ``sink_position`` and
    ``received_position``, which count from the end where they are below 0. ``induction`` has the heads' scores (L, H)
    on repeated random tokens, where they were measured.
    """

    layers: tuple[int, ...]
    heads: int
    counts: Counts
    figures: Mapping[str, Distribution]
    modes: Mapping[str, Modes]
    tokens: Distribution
    typical: tuple[TypicalPair, ...]
    longest: tuple[Occurrence, ...]
    outliers: tuple[Outlier, ...]
    failures: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    induction: Distribution | None = None


class Collector:
    """Collects the findings on a corpus, for a model with ``heads`` heads in each of its ``layers``.

    ``layers`` are the model's own numbers. ``top`` is the number of typical pairs, of longest links and of outlying
    documents to find. Pairs with English ``pronouns`` count as typical only on request.
    """

    def __init__(self, layers: Sequence[int], heads: int, top: int = 20, *, pronouns: bool = False) -> None:
        self.layers, self.heads = tuple(layers), heads
        self._top = top
        self._counts = Counts()
        self._figures = {metric.name: Distribution((len(layers), heads)) for metric in AMOUNTS}
        self._tokens = Distribution(accuracy=0.001)
        self._offsets = ModeCounter(len(layers), heads, *OFFSETS)
        self._positions = {
            name: ModeCounter(len(layers), heads, *POSITIONS) for name in ("sink_position", "received_position")
        }
        self._pairs = PairCounter(without=frozenset() if pronouns else PRONOUNS)
        self._longest, self._outliers = LongestLinks(top), Outliers(top)
        self._failures, self._notes = Reasons(), Reasons()

    def add(self, documents: DocumentRows, figures: Figures, links: LinkRows) -> None:
        """Add all rows of some documents, in the order of their numbers.

        ``figures`` are those of the measured documents, by the names of ``METRICS``, (B, L, H) each.
        """
        self._reasons(documents)
        rows = [row for row, reason in enumerate(documents.reason) if not reason]
        before, tokens, words = self._counts, documents.tokens[rows], documents.words[rows]
        enough = tokens - documents.special[rows] >= MIN_QUERIES
        self._counts = Counts(
            before.documents + len(documents.number),
            before.failed + len(documents.number) - len(rows),
            before.words + int(words.sum()),
            before.tokens + int(tokens.sum()),
            before.links + len(links),
            before.short + len(rows) - int(enough.sum()),
        )
        if len(rows):
            self._tokens.add(tokens)
            self._measured(figures, tokens)
            self._long_enough(documents, figures, rows, enough)
        self._pairs.add(links)
        self._longest.add(links)

    def _reasons(self, documents: DocumentRows) -> None:
        for kept, texts in ((self._failures, documents.reason), (self._notes, documents.note)):
            for row, text in enumerate(texts):
                if text:
                    kept.add(text, documents.where(row))

    def _measured(self, figures: Figures, tokens: NDArray[np.int64]) -> None:
        for name, distribution in self._figures.items():
            distribution.add(figures[name])
        for name, modes in self._positions.items():
            found = from_either_end(figures[name], tokens)
            modes.add(found, np.ones_like(found))

    def _long_enough(
        self, documents: DocumentRows, figures: Figures, rows: Sequence[int], enough: NDArray[np.bool_]
    ) -> None:
        """Add the figures that need documents of at least ``MIN_QUERIES`` tokens to mean anything."""
        some = {name: values[enough] for name, values in figures.items()}
        self._offsets.add(some["offset"], some["offset_share"])
        self._outliers.add(some, [documents.where(row) for row, long in zip(rows, enough, strict=True) if long])

    def merge(self, other: Collector) -> None:
        """Add what ``other`` has collected of later documents.

        Means are rounded otherwise than had the documents been added one by one; all else is the same, as far as
        typical pairs are counted exactly.
        """
        ours, theirs = self._counts, other._counts
        self._counts = Counts(**{name: count + getattr(theirs, name) for name, count in vars(ours).items()})
        for name, distribution in self._figures.items():
            distribution.merge(other._figures[name])
        for name, modes in self._positions.items():
            modes.merge(other._positions[name])
        self._tokens.merge(other._tokens)
        self._offsets.merge(other._offsets)
        self._pairs.merge(other._pairs)
        self._longest.merge(other._longest)
        self._outliers.merge(other._outliers)
        self._failures.merge(other._failures)
        self._notes.merge(other._notes)

    def corpus(self) -> Corpus:
        """The findings so far."""
        positions = {name: modes.commonest() for name, modes in self._positions.items()}
        return Corpus(
            layers=self.layers,
            heads=self.heads,
            counts=self._counts,
            figures=self._figures,
            modes={"offset": self._offsets.commonest(), **positions},
            tokens=self._tokens,
            typical=tuple(self._pairs.top(self._top, self._counts.measured)),
            longest=tuple(self._longest.links),
            outliers=tuple(self._outliers.farthest()),
            failures=self._failures.found(),
            notes=self._notes.found(),
        )


class Reasons:
    """Counts reasons; reasons that differ only in numbers are counted as one."""

    def __init__(self) -> None:
        self._found: dict[str, Reason] = {}

    def add(self, text: str, where: Where) -> None:
        """Count a document ``where`` this was the reason."""
        self._add(Reason(text[:_MOST], 1, where))

    def merge(self, other: Reasons) -> None:
        """Count the reasons of later documents that ``other`` has counted."""
        for reason in other._found.values():
            self._add(reason)

    def _add(self, reason: Reason) -> None:
        name = _NUMBER.sub("#", reason.text)
        if name not in self._found and len(self._found) >= _GROUPS:
            name, reason = OTHER, replace(reason, text=OTHER)
        known = self._found.get(name)
        self._found[name] = replace(known, documents=known.documents + reason.documents) if known else reason

    def found(self) -> tuple[Reason, ...]:
        """All reasons, the commonest first; of equally common ones that of the earliest document."""
        return tuple(sorted(self._found.values(), key=lambda each: (-each.documents, each.first.document)))
