"""What some queries look at: tokens that the model wrote, or words that are looked up among larger units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.maps import pooled
from attnviz.analysis.text.per_token import PerToken
from attnviz.analysis.text.units import Axis, Mask
from attnviz.attention.observers import LinkSelection, OnlyQueries, Units, UnitsAndRegions
from attnviz.attention.tile import Observer
from attnviz.record import Array, Pooled, Region, Top


class LinkTable:
    """Of each of some ``rows`` and each head the ``k`` strongest ``keys`` that count, and its average over all heads.

    A row is the mean of its queries; all ``queries`` rise, and ``starts`` are the first of each row among them.
    ``per_token`` divides the weights, where that is asked for.
    """

    def __init__(
        self,
        queries: NDArray[np.intp],
        starts: NDArray[np.intp],
        keys: Axis,
        key_mask: Mask,
        k: int,
        per_token: PerToken | None,
    ) -> None:
        links = LinkSelection(k, keys=key_mask)
        self._units = Units(starts, keys.starts, links=links, averaged=range(len(starts)), factors=per_token)
        self.observer: Observer = OnlyQueries([self._units], queries)

    def found(self) -> tuple[Top, Array]:
        """The links of each row (L, H, n, k), and the averages (n, m)."""
        links, _, _, average = found_in(self._units)
        return links, average


def found_in(units: Units) -> tuple[Top, Top, Pooled, Array]:
    """The links, those of the bands of distances, the maps and the averages that ``units`` kept."""
    found = [units.found[number] for number in units.layers()]
    names = ("weights", "keys"), ("strong", "strong_keys", "strong_queries")
    links, bands = (Top(*(np.stack([getattr(layer, name) for layer in found]) for name in some)) for some in names)
    return links, bands, pooled(units), units.average


def regions_in(units: Units) -> tuple[Region, ...]:
    """The regions that ``units`` kept, by layer and head, the strongest of a head first."""
    if not isinstance(units, UnitsAndRegions):
        return ()
    return tuple(
        Region(place, head, found.query, found.key, found.weights)
        for place, number in enumerate(units.layers())
        for head in range(units.shapes[number][0])
        for found in units.kept(number, head)
    )
