"""Modes: the commonest offset or key of each head over a corpus, counted in memory that stays flat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OFFSETS = (-32, 32)
"""Offsets that are told apart; what is farther away counts as elsewhere."""
POSITIONS = (-2, 15)
"""Keys that are told apart: the first ones, and below 0 the last ones, −1 the last of all."""


@dataclass(frozen=True, eq=False)
class Commonest:
    """For each head the commonest ``place`` (L, H), in which ``share`` of the ``documents`` it is, and ``weighted``.

    ``weighted`` is the mean over the documents of what was counted with the place, 0 where another place was found.
    Where a head has no place that is told apart, ``share`` is 0; without documents it is NaN.
    """

    place: NDArray[np.int64]
    share: NDArray[np.float64]
    weighted: NDArray[np.float64]
    documents: NDArray[np.int64]


class Places:
    """Counts for each of L × H heads how often each place from ``low`` to ``high`` was found."""

    def __init__(self, layers: int, heads: int, low: int, high: int) -> None:
        self._low = low
        self._shape = layers, heads
        self._documents = np.zeros(layers * heads, np.int64)
        self._found = np.zeros((layers * heads, high - low + 1))
        self._weight = np.zeros((layers * heads, high - low + 1))

    def add(self, places: NDArray[np.floating], weights: NDArray[np.floating]) -> None:
        """Count ``places`` (B, L, H), NaN for none, and sum the ``weights`` (B, L, H) that are found with them."""
        heads, width = self._found.shape
        flat = np.asarray(places, np.float64).reshape(-1, heads)  # (B, L, H) → (B, L·H)
        self._documents += np.isfinite(flat).sum(0)
        number = flat - self._low
        on_progress = (number >= 0) & (number < width)  # not where NaN
        cells = (np.arange(heads) * width + np.where(on_progress, number, 0).astype(np.int64))[on_progress]
        for kept, counted in ((self._found, None), (self._weight, np.asarray(weights, np.float64))):
            given = None if counted is None else counted.reshape(-1, heads)[on_progress]
            kept += np.bincount(cells, given, heads * width).reshape(heads, width)

    def merge(self, other: Places) -> None:
        """Add all that ``other`` has counted of the same heads and places."""
        self._documents += other._documents
        self._found += other._found
        self._weight += other._weight

    def commonest(self) -> Commonest:
        """The places found in most documents; of those found as often that with the larger weights."""
        heads = np.arange(len(self._found))
        weight = self._weight / (self._weight.max(initial=0) + 1)  # less than one document
        best = (self._found + weight).argmax(1)
        many = np.where(self._documents > 0, self._documents, np.nan)
        return Commonest(
            (best + self._low).reshape(self._shape),
            (self._found[heads, best] / many).reshape(self._shape),
            (self._weight[heads, best] / many).reshape(self._shape),
            self._documents.reshape(self._shape),
        )


def from_either_end(positions: NDArray[np.floating], tokens: NDArray[np.integer]) -> NDArray[np.float64]:
    """``positions`` (B, L, H) of keys in documents of so many ``tokens`` (B,): those near the end below 0, −1 the last.

    The first key stays the first, however short the document is.
    """
    behind = positions - tokens[:, None, None]
    return np.where((behind >= POSITIONS[0]) & (positions > 0), behind, positions)


def position_name(place: int) -> str:
    """``the first token``, ``token 3`` (from 0), ``the last token`` or ``the last but one``."""
    names = {0: "the first token", -1: "the last token", -2: "the last but one"}
    return names.get(place, f"token {place}")
