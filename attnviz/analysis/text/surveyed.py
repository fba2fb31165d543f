"""A summary from an observation: what ``summarise`` finds in all weights, from what observers kept of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.kept import strongest_keys, strongest_pairs, without
from attnviz.analysis.text.links import Attended, counting, top_keys
from attnviz.analysis.text.long_range import find_long_range, find_passages, find_profile
from attnviz.analysis.text.offsets import DominantOffset, dominant_offset_heads, dominant_offsets, positional_heads
from attnviz.analysis.text.summary import (
    Cell,
    Grid,
    HeadMap,
    Heads,
    Summary,
    makers_of,
    pick_heads,
    require_cell,
    shown_of,
)
from attnviz.analysis.text.units import Axis, Mask, Reading, Unit, read_in
from attnviz.record import Observation


def summarise_observation(
    observation: Observation, *, heads: Heads | None = None, cell: Cell = "link", top: int = 3, links: int = 8
) -> Summary:
    """Find what ``show`` prints, and what only long texts have; what counts was said when the observation was made.

    Args:
        heads: the heads whose maps are wanted; None is the head of the strongest link.
        cell: what a cell of the overview is.
        top: how many keys a word gets, of those that were observed; the average of all heads only where it was.
        links: how many links are listed, of those that were observed.

    Raises:
        UsageError: a layer or head that there is not; a distance between two texts.
    """
    units = _read(observation, observation.unit)
    pieces = units if observation.unit == "token" else _read(observation, "token")
    positional = positional_heads(observation)
    dominant = [] if observation.everything else dominant_offset_heads(observation)
    counted = np.ones((observation.layers, observation.heads), bool)
    for found in [] if observation.everything else positional:
        counted[units.layers.index(found.layer), found.head] = False
    apart = dominant_offsets(dominant, units, observation.encoding)
    kept = without(observation.links, observation.query_mask, apart)
    strength = kept.weights.max((-2, -1), initial=0).astype(np.float64)  # (L, H, n, k) → (L, H)
    return Summary(
        attention=observation,
        units=units,
        pieces=pieces,
        query_mask=observation.query_mask,
        key_mask=observation.key_mask,
        heads=counted,
        links=strongest_pairs(units, kept, counted, links),
        special_share=float(observation.figures["special"].mean()),
        punctuation_share=float(observation.figures["punctuation"].mean()),
        positional=positional,
        dominant=dominant,
        cell=cell,
        overview=_overview(observation, counted, strength, cell),
        maps=[_map(observation, units, *place) for place in pick_heads(units, strength + counted, heads or Heads())],
        attended=_attended(observation, units, counted, apart, top),
        generated=_generated(
            observation, pieces, counted, dominant_offsets(dominant, pieces, observation.encoding), top
        ),
        long_range=find_long_range(observation, units, counted, apart),
        profile=find_profile(observation),
        passages=find_passages(observation, units),
    )


def _read(observation: Observation, unit: Unit) -> Reading:
    return read_in(unit, observation.encoding, observation.keys, observation.layer_numbers, observation.language)


def _overview(observation: Observation, heads: Mask, strength: NDArray[np.float64], cell: Cell) -> NDArray[np.float64]:
    require_cell(cell, observation)
    return np.where(heads, strength, np.nan) if cell == "link" else observation.figures[cell]


def _map(observation: Observation, units: Reading, layer: int, head: int | None) -> HeadMap:
    """What is shown of one head; the mean is that of the cells."""
    maps = observation.maps
    place = maps.layers.index(units.layers[layer])
    values = maps.values[place].mean(0) if head is None else maps.values[place, head]
    rows, columns, places = _cut(observation, units)
    return HeadMap(units.layers[layer], head, values[places], rows, columns, maps.down, maps.across, _size(observation))


def observation_grid(observation: Observation) -> Grid:
    """The maps of all heads."""
    maps, units = observation.maps, _read(observation, observation.unit)
    _, _, (rows, columns) = _cut(observation, units)
    return Grid(maps.values[:, :, rows, columns], maps.down, maps.across, _size(observation))


def _size(observation: Observation) -> tuple[int, int] | None:
    """How many units were joined, where they were."""
    return observation.maps.size if observation.maps.down > 1 or observation.maps.across > 1 else None


def _cut(
    observation: Observation, units: Reading
) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[NDArray[np.intp], ...]]:
    """The units at which shown rows and columns begin, and where they are in a map.

    These are those of a short text's map, or all cells where there are too many units.
    """
    maps, special = observation.maps, observation.special or observation.everything
    rows = _rows(observation, units.queries, special=special)
    columns = _shown(units.keys, maps.key, maps.size[1], maps.across, special=special)
    return rows, columns, np.ix_((rows - maps.query) // maps.down, (columns - maps.key) // maps.across)


def _rows(observation: Observation, axis: Axis, *, special: bool) -> NDArray[np.intp]:
    """The units at which a map's rows begin; of a passage as a short text's map shows it."""
    maps = observation.maps
    if observation.within is None or maps.down > 1:
        return _shown(axis, maps.query, maps.size[0], maps.down, special=special)
    passage = (
        observation.within
        if observation.unit == "token"
        else observation.within[[word.start for word in observation.encoding.words]]
    )
    inside = maps.query + np.flatnonzero(passage[maps.query : maps.query + maps.size[0]])
    words = np.intersect1d(inside, shown_of(axis, 0, len(axis), special=special))
    for found in (words, inside):
        if len(found):
            return found
    return np.arange(maps.query, maps.query + maps.size[0])


def _shown(axis: Axis, first: int, count: int, step: int, *, special: bool) -> NDArray[np.intp]:
    """The units at which a map's rows or columns begin, of the ``count`` units from ``first`` on."""
    stop = first + count
    return np.arange(first, stop, step) if step > 1 else shown_of(axis, first, stop, special=special)


def _attended(
    observation: Observation, units: Reading, heads: Mask, apart: Sequence[DominantOffset], top: int
) -> list[Attended]:
    """What was asked for by name, or else all units that look, each with its keys."""
    asked = {query: row for row, query in enumerate(observation.asked)}
    rows = observation.asked if observation.named else np.flatnonzero(observation.query_mask).tolist()
    found = []
    kept = without(observation.links, np.ones(len(observation.query_mask), bool), apart)
    for query, best in zip(rows, strongest_keys(units, kept, heads, rows, top), strict=True):
        average: tuple[tuple[int, float], ...] = ()
        if query in asked and observation.average is not None:
            mean, keys = observation.average[asked[query]], observation.key_mask.copy()
            if not observation.itself:
                keys[query] = False
            average = top_keys(mean, keys, top)
        found.append(Attended(units.queries.labels[query], query, best, average))
    return found


def _generated(
    observation: Observation, pieces: Reading, heads: Mask, apart: Sequence[DominantOffset], top: int
) -> list[Attended]:
    """The rows that predicted the generated tokens, each that of the token before."""
    makers = makers_of(observation.encoding)
    if observation.made is None or observation.made_average is None:
        return []
    _, keys, _ = counting(
        pieces, causal=observation.causal, special=observation.special, function=True, everything=observation.everything
    )
    kept = without(observation.made, np.ones(len(makers), bool), apart, makers.start)
    best = strongest_keys(pieces, kept, heads, range(len(makers)), top, first=makers.start)
    return [
        Attended(pieces.queries.labels[query], query, links, top_keys(mean, keys, top))
        for query, links, mean in zip(makers, best, observation.made_average, strict=True)
    ]
