"""Intervals of confidence of 95 %: of a proportion, and of a share that was measured in several documents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

NORMAL = 1.959964
"""The 0.975 quantile of the normal distribution."""


def wilson(share: Any, count: Any, quantile: Any = NORMAL) -> tuple[Values, Values]:
    """The low and high ends of Wilson's interval (1927) of a proportion: a ``share`` of ``count`` trials.

    NaN where the share is, or where there are no trials.
    """
    share, count = np.asarray(share, np.float64), np.asarray(count, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.square(quantile) / np.where(count > 0, count, np.nan)  # 0 of infinitely many
        middle = (share + z / 2) / (1 + z)
        half = np.sqrt((share * (1 - share) * z + z**2 / 4).clip(0)) / (1 + z)
    return (middle - half).clip(0, 1), (middle + half).clip(0, 1)


def mean_share(mean: Any, deviation: Any, count: Any) -> tuple[Values, Values]:
    """The low and high ends of the interval of a share from 0 to 1, the mean over ``count`` documents.

    It is Wilson's, with the number of trials that a proportion would need to vary as much as the mean does, so that the
    interval stays between 0 and 1 (Kott & Carr 1997), and with Student's quantile, since the deviation is estimated
    from the documents (Korn & Graubard 1998).

    Args:
        mean: the mean.
        deviation: the standard deviation over the documents, taken as the whole population.
        count: the number of documents; of fewer than two nothing is known of the spread: NaN.
    """
    mean, count = np.asarray(mean, np.float64).clip(0, 1), np.asarray(count, np.float64)
    free = np.where(count > 1, count - 1, np.nan)
    variance = np.square(np.asarray(deviation, np.float64)) / free  # of the mean
    with np.errstate(divide="ignore", invalid="ignore"):
        trials = np.where(variance > 0, mean * (1 - mean) / variance, np.inf)
        trials = np.where(np.isnan(free) | np.isnan(mean), np.nan, np.where(trials > 0, trials, np.inf))
    return wilson(mean, trials, _student(free))


def _student(free: Values) -> Values:
    """The 0.975 quantile of Student's distribution, by its expansion (Hill 1970): within 1 % from 4 degrees on."""
    z = NORMAL
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return np.asarray(z + sum(term / free**power for power, term in enumerate(terms, 1)))
