"""A summary from a survey: what ``summarise`` finds in all weights, from what observers kept of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.kept import strongest_keys, strongest_pairs, without
from attnviz.analysis.text.links import Attended, counting, top_keys
from attnviz.analysis.text.long_range import find_far, find_passages, find_profile
from attnviz.analysis.text.offsets import Habit, habits, habitual_heads, positional_heads
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
from attnviz.record import Survey


def summarise_survey(
    survey: Survey, *, heads: Heads | None = None, cell: Cell = "link", top: int = 3, links: int = 8
) -> Summary:
    """Find what ``show`` prints, and what only long texts have; what counts was said when the survey was made.

    Args:
        heads: the heads whose maps are wanted; None is the head of the strongest link.
        cell: what a cell of the overview is.
        top: how many keys a word gets, of those that the survey has; the average of all heads only where it has it.
        links: how many links are listed, of those that the survey has.

    Raises:
        UsageError: a layer or head that there is not; a distance between two texts.
    """
    units = _read(survey, survey.unit)
    pieces = units if survey.unit == "token" else _read(survey, "token")
    positional = positional_heads(survey)
    habitual = [] if survey.everything else habitual_heads(survey)
    counted = np.ones((survey.layers, survey.heads), bool)
    for found in [] if survey.everything else positional:
        counted[units.layers.index(found.layer), found.head] = False
    apart = habits(habitual, units, survey.encoding)
    kept = without(survey.links, survey.query_mask, apart)
    strength = kept.weights.max((-2, -1), initial=0).astype(np.float64)  # (L, H, n, k) → (L, H)
    return Summary(
        attention=survey,
        units=units,
        pieces=pieces,
        query_mask=survey.query_mask,
        key_mask=survey.key_mask,
        heads=counted,
        links=strongest_pairs(units, kept, counted, links),
        special_share=float(survey.figures["special"].mean()),
        punctuation_share=float(survey.figures["punctuation"].mean()),
        positional=positional,
        habitual=habitual,
        cell=cell,
        overview=_overview(survey, counted, strength, cell),
        maps=[_map(survey, units, *place) for place in pick_heads(units, strength + counted, heads or Heads())],
        attended=_attended(survey, units, counted, apart, top),
        generated=_generated(survey, pieces, counted, habits(habitual, pieces, survey.encoding), top),
        far=find_far(survey, units, counted, apart),
        profile=find_profile(survey),
        passages=find_passages(survey, units),
    )


def _read(survey: Survey, unit: Unit) -> Reading:
    return read_in(unit, survey.encoding, survey.keys, survey.layer_numbers, survey.language)


def _overview(survey: Survey, heads: Mask, strength: NDArray[np.float64], cell: Cell) -> NDArray[np.float64]:
    require_cell(cell, survey)
    return np.where(heads, strength, np.nan) if cell == "link" else survey.figures[cell]


def _map(survey: Survey, units: Reading, layer: int, head: int | None) -> HeadMap:
    """What is shown of one head; the mean is that of the cells."""
    maps = survey.maps
    place = maps.layers.index(units.layers[layer])
    values = maps.values[place].mean(0) if head is None else maps.values[place, head]
    rows, columns, places = _cut(survey, units)
    return HeadMap(units.layers[layer], head, values[places], rows, columns, maps.down, maps.across, _size(survey))


def survey_grid(survey: Survey) -> Grid:
    """The maps of all heads."""
    maps, units = survey.maps, _read(survey, survey.unit)
    _, _, (rows, columns) = _cut(survey, units)
    return Grid(maps.values[:, :, rows, columns], maps.down, maps.across, _size(survey))


def _size(survey: Survey) -> tuple[int, int] | None:
    """How many units were joined, where they were."""
    return survey.maps.size if survey.maps.down > 1 or survey.maps.across > 1 else None


def _cut(survey: Survey, units: Reading) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[NDArray[np.intp], ...]]:
    """The units at which shown rows and columns begin, and where they are in a map.

    These are those of a short text's map, or all cells where there are too many units.
    """
    maps, special = survey.maps, survey.special or survey.everything
    rows = _rows(survey, units.queries, special=special)
    columns = _shown(units.keys, maps.key, maps.size[1], maps.across, special=special)
    return rows, columns, np.ix_((rows - maps.query) // maps.down, (columns - maps.key) // maps.across)


def _rows(survey: Survey, axis: Axis, *, special: bool) -> NDArray[np.intp]:
    """The units at which a map's rows begin; of a passage as a short text's map shows it."""
    maps = survey.maps
    if survey.within is None or maps.down > 1:
        return _shown(axis, maps.query, maps.size[0], maps.down, special=special)
    passage = survey.within if survey.unit == "token" else survey.within[[word.start for word in survey.encoding.words]]
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


def _attended(survey: Survey, units: Reading, heads: Mask, apart: Sequence[Habit], top: int) -> list[Attended]:
    """What was asked for by name, or else all units that look, each with its keys."""
    asked = {query: row for row, query in enumerate(survey.asked)}
    rows = survey.asked if survey.named else np.flatnonzero(survey.query_mask).tolist()
    found = []
    kept = without(survey.links, np.ones(len(survey.query_mask), bool), apart)
    for query, best in zip(rows, strongest_keys(units, kept, heads, rows, top), strict=True):
        average: tuple[tuple[int, float], ...] = ()
        if query in asked and survey.average is not None:
            mean, keys = survey.average[asked[query]], survey.key_mask.copy()
            if not survey.itself:
                keys[query] = False
            average = top_keys(mean, keys, top)
        found.append(Attended(units.queries.labels[query], query, best, average))
    return found


def _generated(survey: Survey, pieces: Reading, heads: Mask, apart: Sequence[Habit], top: int) -> list[Attended]:
    """The rows that predicted the generated tokens, each that of the token before."""
    makers = makers_of(survey.encoding)
    if survey.made is None or survey.made_average is None:
        return []
    _, keys, _ = counting(
        pieces, causal=survey.causal, special=survey.special, function=True, everything=survey.everything
    )
    kept = without(survey.made, np.ones(len(makers), bool), apart, makers.start)
    best = strongest_keys(pieces, kept, heads, range(len(makers)), top, first=makers.start)
    return [
        Attended(pieces.queries.labels[query], query, links, top_keys(mean, keys, top))
        for query, links, mean in zip(makers, best, survey.made_average, strict=True)
    ]
