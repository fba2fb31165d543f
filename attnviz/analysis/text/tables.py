"""What some queries look at: tokens that the model wrote, or words that are looked up among larger units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.units import Axis, Mask
from attnviz.attention.kernel import Observer
from attnviz.attention.observers import Average, Band, InUnits, Rows, TopLinks
from attnviz.record import Array, Top

if TYPE_CHECKING:
    from torch import Tensor

PerUnit = Callable[[Sequence[Observer], NDArray[np.intp], NDArray[np.intp]], list[Observer]]
"""Puts observers behind what divides weights per token: of some queries, and the first of each unit among them."""


class Table:
    """Of each of some ``rows`` and each head the ``k`` strongest ``keys`` that count, and its average over all heads.

    A row is the mean of its queries; all ``queries`` rise, and ``starts`` are the first of each row among them.
    """

    def __init__(
        self,
        queries: NDArray[np.intp],
        starts: NDArray[np.intp],
        keys: Axis,
        key_mask: Mask,
        k: int,
        measure: PerUnit,
    ) -> None:
        self.top, self.average = TopLinks(k), Average(range(len(starts)))
        counted = InUnits([self.top], range(len(starts)), range(len(keys)), key_mask=key_mask)
        seeing = measure([counted, self.average], queries, starts)
        self.observer: Observer = Rows([InUnits(seeing, starts, keys.starts)], queries)

    def found(self) -> tuple[Top, Array]:
        """The links of each row (L, H, n, k), and the averages (n, m)."""
        return Top(*stacked(self.top)), self.average.rows.cpu().numpy()


def stacked(observer: TopLinks | Band) -> list[Any]:
    """The weights and places that ``observer`` has of each layer, one above the other."""
    layers = map(observer.layer, observer.layers())
    return [joined(parts) for parts in zip(*layers, strict=True)]


def joined(parts: Iterable[Tensor]) -> Array:
    """What there is of each layer, one above the other."""
    return np.stack([part.cpu().numpy() for part in parts])
