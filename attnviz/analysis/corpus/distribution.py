"""The distribution of a figure over any number of documents: mean, deviation and quantiles, in constant memory.

Mean and deviation are merged as by Chan et al. (1979); quantiles come from counts in logarithmic buckets, as DDSketch
has them (Masson et al. 2019). Counts, extremes and quantiles do not depend on the order in which documents come, nor
on how they are parted; mean and deviation do by rounding only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import AttnvizError

Values = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
ACCURACY = 0.01
"""The largest relative difference between a quantile and the value that has its rank."""
SMALLEST = 1e-12
"""Values nearer to 0 than this count as 0 in the quantiles."""
_ROOM = 64
"""The number of buckets by which the range grows."""


class Distribution:
    """The distribution of a figure in each cell of ``shape``, such as (L, H). Values that are not finite don't count.

    All results have this ``shape``. A cell without values has the count 0, and NaN otherwise.
    """

    def __init__(self, shape: Sequence[int] = (), accuracy: float = ACCURACY) -> None:
        self.shape = tuple(shape)
        self.accuracy = accuracy
        cells = int(np.prod(self.shape))
        self._count = np.zeros(cells, np.int64)
        self._mean, self._apart = np.zeros(cells), np.zeros(cells)
        self._least, self._most = np.full(cells, np.inf), np.full(cells, -np.inf)
        self._first = 0  # the number of bucket 0 of ``_buckets``
        self._buckets: NDArray[np.unsignedinteger] = np.zeros((cells, 0), np.uint32)
        self._base = np.log((1 + accuracy) / (1 - accuracy))
        # Buckets are numbered by ⌈log x⌉ so that the smallest value that counts is in bucket 1, and 0 is in bucket 0.
        self._shift = int(np.ceil(np.log(SMALLEST) / self._base)) - 1

    @staticmethod
    def of(values: NDArray[np.floating]) -> Distribution:
        """The distribution of ``values`` (B, …) in cells of the shape that is left."""
        found = Distribution(values.shape[1:])
        found.add(values)
        return found

    def add(self, values: NDArray[np.floating | np.integer]) -> None:
        """Add the documents' ``values`` (B, *shape)."""
        found = np.asarray(values, np.float64).reshape(len(values), len(self._count))  # (B, *shape) → (B, cells)
        there = np.isfinite(found)
        if not there.any():
            return
        count = there.sum(0)
        with np.errstate(invalid="ignore"):
            mean = found.sum(0, where=there) / np.maximum(count, 1)
            apart = np.square(found - mean).sum(0, where=there)
        self._merge_moments(count, mean, apart)
        self._least = np.minimum(self._least, found.min(0, where=there, initial=np.inf))
        self._most = np.maximum(self._most, found.max(0, where=there, initial=-np.inf))
        self._tally(found, there)

    def merge(self, other: Distribution) -> None:
        """Add the values that ``other`` has counted.

        Raises:
            AttnvizError: it counts in other cells or buckets.
        """
        if (self.shape, self.accuracy) != (other.shape, other.accuracy):
            mine, theirs = ((each.shape, each.accuracy) for each in (self, other))
            raise AttnvizError(f"distributions of different cells or accuracy: {mine} and {theirs}")
        self._merge_moments(other._count, other._mean, other._apart)
        self._least = np.minimum(self._least, other._least)
        self._most = np.maximum(self._most, other._most)
        if size := other._buckets.shape[1]:
            self._window(other._first, other._first + size - 1)
            start = other._first - self._first
            self._widen()
            self._buckets[:, start : start + size] += other._buckets.astype(self._buckets.dtype)

    def _merge_moments(self, count: NDArray[np.int64], mean: Values, apart: Values) -> None:
        both = np.maximum(self._count + count, 1)
        step = mean - self._mean
        self._mean += step * count / both
        self._apart += apart + step * step * (self._count / both) * count
        self._count += count

    def _tally(self, found: Values, there: NDArray[np.bool_]) -> None:
        """Count each value in its bucket."""
        size = np.abs(found, where=there, out=np.zeros_like(found))
        counted = size > SMALLEST
        number = np.log(size, where=counted, out=size) / self._base
        buckets = np.where(counted, np.ceil(number) - self._shift, 0).astype(np.int64)
        np.negative(buckets, where=found < 0, out=buckets)
        self._window(int(buckets.min(where=there, initial=0)), int(buckets.max(where=there, initial=0)))
        cells, width = self._buckets.shape
        places = np.arange(cells) * width + buckets - self._first  # (B, cells)
        self._widen()
        more = np.bincount(places[there], minlength=cells * width)
        self._buckets += more.reshape(cells, width).astype(self._buckets.dtype)

    def _widen(self) -> None:
        """Switch to wider counts when values are too many for narrow ones, which take half the memory."""
        if self._buckets.dtype == np.uint32 and self._count.max(initial=0) > np.iinfo(np.uint32).max:
            self._buckets = self._buckets.astype(np.uint64)

    def _window(self, low: int, high: int) -> None:
        """Extend the buckets so that they reach from ``low`` to ``high``."""
        first, stop = self._first, self._first + self._buckets.shape[1]
        before = 0 if low >= first else -(-(first - low) // _ROOM) * _ROOM
        behind = 0 if high < stop else -(-(high + 1 - stop) // _ROOM) * _ROOM
        if before or behind:
            self._buckets = np.pad(self._buckets, ((0, 0), (before, behind)))
            self._first -= before

    @property
    def count(self) -> NDArray[np.int64]:
        """The number of documents that have a value."""
        return self._count.reshape(self.shape)

    @property
    def mean(self) -> Values:
        """The mean over the documents."""
        return self._where(self._mean)

    @property
    def deviation(self) -> Values:
        """The standard deviation over the documents, taken as the whole population."""
        return self._where(np.sqrt(self._apart / np.maximum(self._count, 1)))

    @property
    def minimum(self) -> Values:
        """The smallest value, exactly."""
        return self._where(self._least)

    @property
    def maximum(self) -> Values:
        """The largest value, exactly."""
        return self._where(self._most)

    def quantile(self, share: float) -> Values:
        """The value of rank ⌊share·(count − 1)⌋ in each cell, from the smallest on, within the ``accuracy``."""
        if not self._count.any():
            return self._where(self._mean)
        rank = np.floor(share * np.maximum(self._count - 1, 0))
        bucket = (self._buckets.cumsum(1) > rank[:, None]).argmax(1) + self._first
        middle = np.exp((np.abs(bucket) + self._shift) * self._base) * (1 - self.accuracy)
        value = np.where(bucket == 0, 0.0, np.sign(bucket) * middle)
        return self._where(np.clip(value, self._least, self._most))

    def _where(self, values: Values) -> Values:
        return np.where(self._count > 0, values, np.nan).reshape(self.shape)
