"""A summary from a survey: what ``summarise`` finds in all weights, from what observers kept of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.far import find_far, find_passages, find_profile
from attnviz.analysis.kept import strongest_keys, strongest_pairs
from attnviz.analysis.links import MIN_QUERIES, POSITIONAL, Attended, Positional, counting, top_keys
from attnviz.analysis.summary import Cell, HeadMap, Heads, Summary, makers_of, pick_heads
from attnviz.analysis.units import Axis, Mask, Reading, read_in
from attnviz.errors import UsageError
from attnviz.record import Survey, Top


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
    units = read_in(survey.unit, survey.encoding, survey.keys, survey.layer_numbers)
    pieces = units if survey.unit == "token" else read_in("token", survey.encoding, survey.keys, units.layers)
    positional = _positional(survey)
    counted = np.ones((survey.layers, survey.heads), bool)
    for found in [] if survey.everything else positional:
        counted[units.layers.index(found.layer), found.head] = False
    counting_links = _counting_links(survey)
    strength = counting_links.weights[..., 0].max(-1, initial=0).astype(np.float64)  # (L, H, n) → (L, H)
    return Summary(
        attention=survey,
        units=units,
        pieces=pieces,
        looking=survey.looking,
        looked_at=survey.looked_at,
        heads=counted,
        links=strongest_pairs(units, counting_links, counted, links),
        special_share=float(survey.figures["special"].mean()),
        punctuation_share=float(survey.figures["punctuation"].mean()),
        positional=positional,
        cell=cell,
        overview=_overview(survey, counted, strength, cell),
        maps=[_map(survey, units, *place) for place in pick_heads(units, strength + counted, heads or Heads())],
        attended=_attended(survey, units, counted, top),
        generated=_generated(survey, pieces, counted, top),
        far=find_far(survey, units, counted),
        profile=find_profile(survey),
        passages=find_passages(survey, units),
    )


def _counting_links(survey: Survey) -> Top:
    """The links of the units that count; a survey has those of units that were asked for by name, too."""
    if survey.looking[list(survey.asked)].all():
        return survey.links
    return replace(survey.links, weights=np.where(survey.looking[:, None], survey.links.weights, 0))


def _positional(survey: Survey) -> list[Positional]:
    """As ``links.positional_heads``."""
    if survey.keys is not None or survey.encoding.special.count(False) < MIN_QUERIES:
        return []
    offsets, shares = survey.figures["offset"], survey.figures["offset_share"]
    return [
        Positional(survey.layer_numbers[layer], int(head), int(offsets[layer, head]), float(shares[layer, head]))
        for layer, head in np.argwhere(shares >= POSITIONAL)
    ]


def _overview(survey: Survey, heads: Mask, strength: NDArray[np.float64], cell: Cell) -> NDArray[np.float64]:
    if cell == "link":
        return np.where(heads, strength, np.nan)
    if cell == "distance" and survey.keys is not None:
        raise UsageError("there is no distance between two texts", hint="Ask for link, entropy or sink.")
    return survey.figures[cell]


def _map(survey: Survey, units: Reading, layer: int, head: int | None) -> HeadMap:
    """What a short text's map shows, or all cells where there are too many units; the mean is that of the cells."""
    maps = survey.maps
    values = maps.values[layer].mean(0) if head is None else maps.values[layer, head]
    special = survey.special or survey.everything
    rows = _rows(survey, units.queries, special=special)
    columns = _shown(units.keys, maps.key, maps.size[1], maps.across, special=special)
    places = np.ix_((rows - maps.query) // maps.down, (columns - maps.key) // maps.across)
    pooled = maps.down > 1 or maps.across > 1
    size = maps.size if pooled else None
    return HeadMap(units.layers[layer], head, values[places], rows, columns, maps.down, maps.across, size)


def _rows(survey: Survey, axis: Axis, *, special: bool) -> NDArray[np.intp]:
    """The units at which a map's rows begin; of a passage as a short text's map shows it."""
    maps = survey.maps
    if survey.within is None or maps.down > 1:
        return _shown(axis, maps.query, maps.size[0], maps.down, special=special)
    passage = survey.within if survey.unit == "token" else survey.within[[word.start for word in survey.encoding.words]]
    inside = maps.query + np.flatnonzero(passage[maps.query : maps.query + maps.size[0]])
    words = np.intersect1d(inside, _shown(axis, 0, len(axis), 1, special=special))
    for found in (words, inside):
        if len(found):
            return found
    return np.arange(maps.query, maps.query + maps.size[0])


def _shown(axis: Axis, first: int, count: int, step: int, *, special: bool) -> NDArray[np.intp]:
    """The units at which a map's rows or columns begin, of the ``count`` units from ``first`` on."""
    if step > 1:
        return np.arange(first, first + count, step)
    words = first + np.flatnonzero(~(axis.special | axis.punctuation)[first : first + count])
    return np.arange(first, first + count) if special or len(words) < min(2, count) else words


def _attended(survey: Survey, units: Reading, heads: Mask, top: int) -> list[Attended]:
    """What was asked for by name, or else all units that look, each with its keys."""
    asked = {query: row for row, query in enumerate(survey.asked)}
    rows = survey.asked if survey.named else np.flatnonzero(survey.looking).tolist()
    found = []
    for query, best in zip(rows, strongest_keys(units, survey.links, heads, rows, top), strict=True):
        average: tuple[tuple[int, float], ...] = ()
        if query in asked and survey.average is not None:
            mean, keys = survey.average[asked[query]], survey.looked_at.copy()
            if not survey.itself:
                keys[query] = False
            average = tuple((key, float(mean[key])) for key in top_keys(mean, keys, top))
        found.append(Attended(units.queries.labels[query], query, best, average))
    return found


def _generated(survey: Survey, pieces: Reading, heads: Mask, top: int) -> list[Attended]:
    """The rows that predicted the generated tokens, each that of the token before."""
    makers = makers_of(survey.encoding)
    if survey.made is None or survey.made_average is None:
        return []
    _, keys, _ = counting(
        pieces, causal=survey.causal, special=survey.special, function=True, everything=survey.everything
    )
    best = strongest_keys(pieces, survey.made, heads, range(len(makers)), top, first=makers.start)
    return [
        Attended(
            pieces.queries.labels[query],
            query,
            links,
            tuple((key, float(mean[key])) for key in top_keys(mean, keys, top)),
        )
        for query, links, mean in zip(makers, best, survey.made_average, strict=True)
    ]
