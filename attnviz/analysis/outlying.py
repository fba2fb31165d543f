"""Documents that are unlike the others: those whose mean figures are far from the corpus's, and which figure it is.

Far is measured as by Iglewicz & Hoaglin (1993), from the median and in units of a spread that a few outliers do not
change. Compared are the shares only, since entropy, distance and what is received grow with the length of a text, and
not the share of the commonest offset, which is large in short ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.distribution import Distribution
from attnviz.analysis.measured import METRICS

COMPARED = tuple(metric.name for metric in METRICS if metric.unit == "share" and metric.name != "offset_share")
FAR = 3.5
"""From how many deviations on a document is outlying (Iglewicz & Hoaglin 1993)."""
LEAST = 20
"""In fewer documents than this none is outlying."""
_ACCURACY = 0.001
_NORMAL = 1.349
"""How many standard deviations lie between the quartiles of a normal distribution."""


@dataclass(frozen=True)
class Where:
    """A document of a corpus: its number, and where it is from; ``line`` is None where it is a whole file."""

    document: int
    source: str
    line: int | None
    tokens: int


@dataclass(frozen=True)
class Outlier:
    """A document ``far`` from the others: by the mean ``value`` over all heads of its figure ``metric``.

    ``typical`` is the median over the corpus, ``far`` in deviations: above 0 where the value is larger than that.
    """

    where: Where
    metric: str
    value: float
    typical: float
    far: float


class Outliers:
    """Keeps the documents with the largest and smallest means of each figure, of which the farthest are outlying."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._all = {name: Distribution(accuracy=_ACCURACY) for name in COMPARED}
        self._ends: dict[str, list[tuple[float, Where]]] = {name: [] for name in COMPARED}

    def add(self, figures: Mapping[str, NDArray[np.floating]], places: list[Where]) -> None:
        """Add documents by their ``figures`` (B, L, H) each; ``places`` says where each is."""
        for name in COMPARED if places else ():
            values = figures[name].reshape(len(places), -1).astype(np.float64)  # (B, L, H) → (B, L·H)
            there = np.isfinite(values)
            mean = np.where(there, values, 0).sum(1) / np.where(there.any(1), there.sum(1), np.nan)
            self._all[name].add(mean)
            order = np.argsort(mean, kind="stable")[: int(there.any(1).sum())]
            ends = set(order[: self._kept].tolist()) | set(order[-self._kept :].tolist())
            self._keep(name, [(float(mean[i]), places[i]) for i in ends])

    def merge(self, other: Outliers) -> None:
        """Add all documents that were added to ``other``."""
        for name in COMPARED:
            self._all[name].merge(other._all[name])
            self._keep(name, other._ends[name])

    def _keep(self, name: str, more: list[tuple[float, Where]]) -> None:
        found = sorted([*self._ends[name], *more], key=lambda each: (each[0], each[1].document))
        if len(found) > 2 * self._kept:
            found = found[: self._kept] + found[-self._kept :]
        self._ends[name] = found

    def farthest(self) -> list[Outlier]:
        """The outlying documents, each by the figure in which it is farthest, from the farthest on."""
        best: dict[int, Outlier] = {}
        for name, ends in self._ends.items():
            if self._all[name].count < LEAST:
                continue
            low, middle, high = (float(self._all[name].quantile(share)) for share in (0.25, 0.5, 0.75))
            spread = max((high - low) / _NORMAL, 2 * _ACCURACY * abs(middle))  # quartiles are no more exact than that
            for value, where in ends if spread > 0 else ():
                far = (value - middle) / spread
                if abs(far) >= FAR and (where.document not in best or abs(far) > abs(best[where.document].far)):
                    best[where.document] = Outlier(where, name, value, middle, far)
        return sorted(best.values(), key=lambda found: (-abs(found.far), found.where.document))[: self._kept]
