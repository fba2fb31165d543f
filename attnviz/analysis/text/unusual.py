"""The links that are most unusual for their heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attnviz.analysis.text.kept import strongest_pairs
from attnviz.analysis.text.links import Link
from attnviz.analysis.text.units import Mask, Reading
from attnviz.analysis.text.usual import lifts_of, sizes_of
from attnviz.record import Observation, Top

_MOST = 1 << 17
"""The most links whose lift is computed: of more, those with the largest weights."""


def lifted(observation: Observation, units: Reading, top: Top, first: int = 0) -> Top:
    """The links in ``top`` (L, H, n, k) with their lift in place of their weight; ``first`` is the query of row 0.

    Raises:
        ValueError: the observation was made without ``rank="lift"``.
    """
    usual = observation.usual
    if usual is None:
        raise ValueError("the observation was made without what is usual for its heads")
    weights = top.weights
    least = np.partition(weights, weights.size - _MOST, None)[weights.size - _MOST] if weights.size > _MOST else 0
    places = np.nonzero((weights > 0) & (weights >= least))
    layer, head, query, _ = places
    found = lifts_of(
        usual, sizes_of(units, observation.shape[2:]), (layer, head), query[:, None] + first,
        top.keys[places].astype(np.intp)[:, None], np.asarray(weights[places], float)[:, None, None],
    )  # fmt: skip
    lifts = np.zeros(weights.shape)
    lifts[places] = found.lift
    return replace(top, weights=lifts)


def unusual_pairs(units: Reading, top: Top, lifts: Top, heads: Mask, count: int) -> list[Link]:
    """The ``count`` links with the largest lift of the ``heads`` that count (L, H), each pair of units once.

    The candidates are the links in ``top``, of each unit and head the strongest, which have these ``lifts``.
    """
    links = strongest_pairs(units, lifts, heads, count)
    return [replace(link, weight=_weight(units, top, link), lift=link.weight) for link in links]


def _weight(units: Reading, top: Top, link: Link) -> float:
    place = units.layers.index(link.layer), link.head, link.query_index
    return float(top.weights[place][top.keys[place] == link.key_index][0])
