"""Find documents whose mean figures are far from those of other documents of about the same length.

Far is measured as by Iglewicz & Hoaglin (1993), from the median and in units of a spread that a few outliers do not
change. All figures depend on the length of a text (in a short one, more weight goes to special tokens and to itself),
so each document is compared with those whose tokens are in the same range: from one power of √2 to the next, or over as
many of these as hold ``ALIKE`` documents. Compared are the shares only, and not that of the commonest offset: the rest
changes with the length within such a range too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.metrics import METRICS

COMPARED = tuple(metric.name for metric in METRICS if metric.unit == "share" and metric.name != "offset_share")
FAR = 3.5
"""The number of deviations from which on a document is outlying (Iglewicz & Hoaglin 1993)."""
LEAST = 20
"""The fewest documents among which one can be outlying."""
ALIKE = 100
"""The number of documents of about the same length that are compared, if there are as many."""
_ACCURACY = 0.001
_NORMAL = 1.349
"""How many standard deviations lie between the quartiles of a normal distribution."""


@dataclass(frozen=True)
class Where:
    """The number and origin of a document of a corpus.

    ``row`` and ``line`` are None for a whole file; ``line`` is None for files without lines too.
    """

    document: int
    source: str
    line: int | None
    tokens: int
    row: int | None = None


@dataclass(frozen=True)
class Outlier:
    """A document whose ``metric`` is far from that of other documents, by its mean ``value`` over all heads.

    ``typical`` is the median of the documents of about its length. ``far`` is the distance from it in deviations,
    above 0 if the value is larger.
    """

    where: Where
    metric: str
    value: float
    typical: float
    far: float


class Outliers:
    """Keeps the documents with the largest and smallest mean of each figure, among which outliers are found."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._ranges: dict[tuple[str, int], _Range] = {}

    def add(self, figures: Mapping[str, NDArray[np.floating]], places: list[Where]) -> None:
        """Add documents by their ``figures`` (B, L, H) each; ``places`` says where each is."""
        lengths = np.floor(2 * np.log2([max(place.tokens, 1) for place in places])).astype(np.int64)
        for name in COMPARED if places else ():
            values = figures[name].reshape(len(places), -1).astype(np.float64)  # (B, L, H) → (B, L·H)
            there = np.isfinite(values)
            mean = np.where(there, values, 0).sum(1) / np.where(there.any(1), there.sum(1), np.nan)
            for length in np.unique(lengths).tolist():
                rows = np.flatnonzero((lengths == length) & there.any(1))
                self._of(name, length).add(mean[rows], [places[row] for row in rows], self._kept)

    def merge(self, other: Outliers) -> None:
        """Add all documents that were added to ``other``."""
        for (name, length), theirs in other._ranges.items():
            self._of(name, length).merge(theirs, self._kept)

    def _of(self, name: str, length: int) -> _Range:
        return self._ranges.setdefault((name, length), _Range())

    def farthest(self) -> list[Outlier]:
        """The outlying documents, each by the figure in which it is farthest, from the farthest on."""
        best: dict[int, Outlier] = {}
        for name in COMPARED:
            for alike in self._alike(name):
                for found in alike.outliers(name):
                    before = best.get(found.where.document)
                    if before is None or abs(found.far) > abs(before.far):
                        best[found.where.document] = found
        return sorted(best.values(), key=lambda found: (-abs(found.far), found.where.document))[: self._kept]

    def _alike(self, name: str) -> list[_Range]:
        """The documents by their lengths; if the longest are few, they are joined with the next shorter ones."""
        found: list[_Range] = []
        for length in sorted(length for figure, length in self._ranges if figure == name):
            if not found or found[-1].documents >= ALIKE:
                found.append(_Range())
            found[-1].merge(self._ranges[name, length], self._kept)
        if len(found) > 1 and found[-1].documents < ALIKE:
            last = found.pop()
            found[-1].merge(last, self._kept)
        return found


class _Range:
    """The means of one figure over documents of similar length, and the documents at either end of their range."""

    def __init__(self) -> None:
        self._all = Distribution(accuracy=_ACCURACY)
        self._ends: list[tuple[float, Where]] = []

    @property
    def documents(self) -> int:
        return int(self._all.count)

    def add(self, means: NDArray[np.float64], places: list[Where], kept: int) -> None:
        self._all.add(means)
        order = np.argsort(means, kind="stable")
        ends = set(order[:kept].tolist()) | set(order[-kept:].tolist())
        self._keep([(float(means[i]), places[i]) for i in ends], kept)

    def merge(self, other: _Range, kept: int) -> None:
        self._all.merge(other._all)
        self._keep(other._ends, kept)

    def _keep(self, more: list[tuple[float, Where]], kept: int) -> None:
        """Keep ``kept`` of the smallest and of the largest means."""
        found = sorted([*self._ends, *more], key=lambda each: (each[0], each[1].document))
        self._ends = found if len(found) <= 2 * kept else found[:kept] + found[-kept:]

    def outliers(self, name: str) -> list[Outlier]:
        if self.documents < LEAST:
            return []
        low, middle, high = (float(self._all.quantile(share)) for share in (0.25, 0.5, 0.75))
        spread = max((high - low) / _NORMAL, 2 * _ACCURACY * abs(middle))  # quartiles are no more exact than that
        if not spread:
            return []
        ranked = (Outlier(where, name, value, middle, (value - middle) / spread) for value, where in self._ends)
        return [found for found in ranked if abs(found.far) >= FAR]
