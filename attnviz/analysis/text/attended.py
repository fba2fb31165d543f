"""What each unit looks at most, and what each generated token looked at when it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attnviz.analysis.text.kept import strongest_keys, strongest_pairs, without
from attnviz.analysis.text.links import Attended, Link, counting, top_keys
from attnviz.analysis.text.looking import look_from
from attnviz.analysis.text.offsets import DominantOffset, dominant_offset_heads, dominant_offsets
from attnviz.analysis.text.others import Baselines
from attnviz.analysis.text.per_token import Numbers
from attnviz.analysis.text.units import Axis, Mask, Reading, makers_of, reading_of
from attnviz.record import Observation, Top


def apart_in(observation: Observation, units: Reading, shift: int = 0) -> list[DominantOffset]:
    """The heads whose links at one offset are left out, with the keys at that offset, in words or tokens.

    ``shift`` is as for ``dominant_offsets``. Units larger than words have no offsets.
    """
    if observation.everything or units.keys.lines or observation.measure.by_layer:
        return []
    return dominant_offsets(dominant_offset_heads(observation), units, observation.encoding, shift)


def attended(
    observation: Observation, units: Reading, heads: Mask, apart: Sequence[DominantOffset], top: int
) -> list[Attended]:
    """The units that were asked for by name, or all units that count as queries, each with its keys."""
    if observation.named_links is not None:
        return _named(observation, units, heads, observation.named_links, top)
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
    if not observation.large:
        return found
    looking = look_from(observation.encoding, units, observation.request)
    stops = np.append(looking.starts[1:], len(looking.queries))
    return _beside(observation, units, found, [looking.queries[looking.starts[row] : stops[row]] for row in rows])


def _named(observation: Observation, units: Reading, heads: Mask, links: Top, top: int) -> list[Attended]:
    """The words that were asked for by name, with their keys, which are larger units."""
    words = [observation.encoding.words[i] for i in observation.asked]
    links, masks = _elsewhere(observation, units, links, observation.key_mask, [word.start for word in words])
    best = strongest_keys(_asked(observation, units), links, heads, range(len(words)), top)
    averages = np.zeros((0, 0)) if observation.average is None else observation.average
    found = [
        Attended(word.text, number, _numbered(observation, row), top_keys(mean, keys, top))
        for number, word, row, mean, keys in zip(observation.asked, words, best, averages, masks, strict=True)
    ]
    return _beside(observation, units, found, [np.arange(word.start, word.stop) for word in words])


def strongest_named(observation: Observation, units: Reading, heads: Mask, links: Top, count: int) -> list[Link]:
    """The strongest links of the words that were asked for by name, to larger units."""
    tokens = [observation.encoding.words[i].start for i in observation.asked]
    links, _ = _elsewhere(observation, units, links, observation.key_mask, tokens)
    return list(_numbered(observation, strongest_pairs(_asked(observation, units), links, heads, count)))


def _elsewhere(
    observation: Observation, units: Reading, links: Top, key_mask: Mask, tokens: Sequence[int]
) -> tuple[Top, Sequence[Mask]]:
    """``links`` (L, H, n, k) and for each row the keys that count, without the unit that contains the row's token.

    That unit is left out only of units larger than words, and only unless everything counts.
    """
    if observation.itself or not observation.large:
        return links, [key_mask] * len(tokens)
    own = np.searchsorted(units.queries.starts, tokens, side="right") - 1
    masks = key_mask & (np.arange(len(key_mask)) != own[:, None])
    return replace(links, weights=np.where(links.keys == own[:, None], 0, links.weights)), list(masks)


def _asked(observation: Observation, units: Reading) -> Reading:
    """A reading whose queries are the words that were asked for by name, and whose keys are larger units."""
    words, some = reading_of(observation, "word").queries, list(observation.asked)
    labels = tuple(words.labels[i] for i in some)
    axis = Axis(labels, words.starts[some], words.special[some], words.punctuation[some], words.function[some])
    return replace(units, queries=axis)


def _numbered(observation: Observation, links: Sequence[Link]) -> tuple[Link, ...]:
    """The links with the numbers that the words asked for have in the text."""
    return tuple(replace(link, query_index=observation.asked[link.query_index]) for link in links)


def generated(observation: Observation, units: Reading, pieces: Reading, heads: Mask, top: int) -> list[Attended]:
    """The rows of the tokens that predicted the generated ones."""
    makers = makers_of(observation.encoding)
    if observation.made is None or observation.made_average is None:
        return []
    reading = replace(units, queries=pieces.queries) if observation.large else pieces
    _, keys, _ = counting(
        units if observation.large else pieces,
        causal=observation.causal,
        special=observation.special,
        function=True,
        everything=observation.everything,
    )
    kept = without(observation.made, np.ones(len(makers), bool), apart_in(observation, reading), makers.start)
    kept, masks = _elsewhere(observation, units, kept, keys, [query + 1 for query in makers])
    best = strongest_keys(reading, kept, heads, range(len(makers)), top, first=makers.start)
    found = [
        Attended(pieces.queries.labels[query], query, links, top_keys(mean, mask, top))
        for query, links, mean, mask in zip(makers, best, observation.made_average, masks, strict=True)
    ]
    return _beside(observation, units, found, [np.array([query]) for query in makers]) if observation.large else found


def _beside(
    observation: Observation, units: Reading, rows: list[Attended], queries: Sequence[Numbers]
) -> list[Attended]:
    """Add the baselines to ``rows``, which are each of some ``queries``."""
    if observation.others is None:
        return rows
    baselines = Baselines(observation, observation.others, units.keys.starts)
    return [baselines.beside(row, some) for row, some in zip(rows, queries, strict=True)]
