"""Modes: the commonest offset or position of each head over a corpus, counted in constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OFFSETS = (-32, 32)
"""The smallest and largest offset that is counted by itself; farther ones are no candidates."""
POSITIONS = (-2, 15)
"""The positions that are counted by themselves: the first keys from 0, and the last ones below 0, −1 the last key."""


@dataclass(frozen=True, eq=False)
class Modes:
    """The commonest ``value`` of each head (L, H), an offset or a position, over some documents.

    ``share`` is the share of the ``documents`` that have it: 0 where no document has a value that is counted, NaN
    without documents. ``weighted`` is the mean over the documents of the weight that was counted with it, 0 for
    documents with another value; ``deviation`` is its standard deviation.
    """

    value: NDArray[np.int64]
    share: NDArray[np.float64]
    weighted: NDArray[np.float64]
    documents: NDArray[np.int64]
    deviation: NDArray[np.float64]


class ModeCounter:
    """Counts for each of L × H heads how many documents have each value from ``low`` to ``high``."""

    def __init__(self, layers: int, heads: int, low: int, high: int) -> None:
        self._low = low
        self._shape = layers, heads
        self._documents = np.zeros(layers * heads, np.int64)
        self._found = np.zeros((layers * heads, high - low + 1))
        self._weight, self._squared = (np.zeros((layers * heads, high - low + 1)) for _ in range(2))

    def add(self, values: NDArray[np.floating], weights: NDArray[np.floating]) -> None:
        """Count the ``values`` of B documents, NaN for none, and add up the ``weights`` beside them, (B, L, H) each."""
        heads, width = self._found.shape
        flat = np.asarray(values, np.float64).reshape(-1, heads)  # (B, L, H) → (B, L·H)
        self._documents += np.isfinite(flat).sum(0)
        number = flat - self._low
        counted = (number >= 0) & (number < width)  # not where NaN
        cells = (np.arange(heads) * width + np.where(counted, number, 0).astype(np.int64))[counted]
        weight = np.asarray(weights, np.float64)
        for kept, added in ((self._found, None), (self._weight, weight), (self._squared, weight**2)):
            given = None if added is None else added.reshape(-1, heads)[counted]
            kept += np.bincount(cells, given, heads * width).reshape(heads, width)

    def merge(self, other: ModeCounter) -> None:
        """Add the counts of ``other``, of the same heads and values."""
        self._documents += other._documents
        self._found += other._found
        self._weight += other._weight
        self._squared += other._squared

    def commonest(self) -> Modes:
        """The value that most documents have; of equally common ones the one with the larger weights."""
        heads = np.arange(len(self._found))
        weight = self._weight / (self._weight.max(initial=0) + 1)  # less than one document
        best = (self._found + weight).argmax(1)
        many = np.where(self._documents > 0, self._documents, np.nan)
        mean, square = self._weight[heads, best] / many, self._squared[heads, best] / many
        return Modes(
            (best + self._low).reshape(self._shape),
            (self._found[heads, best] / many).reshape(self._shape),
            mean.reshape(self._shape),
            self._documents.reshape(self._shape),
            np.sqrt((square - mean**2).clip(0)).reshape(self._shape),
        )


def from_either_end(positions: NDArray[np.floating], tokens: NDArray[np.integer]) -> NDArray[np.float64]:
    """``positions`` (B, L, H) of keys in documents of so many ``tokens`` (B,): those near the end below 0, −1 the last.

    The first key stays the first, however short the document is.
    """
    behind = positions - tokens[:, None, None]
    return np.where((behind >= POSITIONS[0]) & (positions > 0), behind, positions)


def position_name(position: int) -> str:
    """``the first token``, ``token 3`` (from 0), ``the last token`` or ``the last but one``."""
    names = {0: "the first token", -1: "the last token", -2: "the last but one"}
    return names.get(position, f"token {position}")
