"""Everything that ``show`` says of one input, as numbers: what the terminal and the JSON document are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.attended import apart_in, attended, generated, strongest_named
from attnviz.analysis.text.kept import strongest_pairs, without
from attnviz.analysis.text.links import Attended, Link
from attnviz.analysis.text.long_range import LongRange, Passage, Profile, find_long_range, find_passages, find_profile
from attnviz.analysis.text.offsets import (
    DominantOffset,
    Positional,
    dominant_offset_heads,
    positional_heads,
)
from attnviz.analysis.text.receiving import received
from attnviz.analysis.text.shown_maps import HeadMap, head_maps
from attnviz.analysis.text.units import Mask, Reading, reading_of
from attnviz.analysis.text.unusual import lifted, unusual_pairs
from attnviz.errors import UsageError
from attnviz.record import Cell, Heads, Observation, Top

LONG = 250
"""From so many tokens on it is shown of a text how far its attention goes, and which passages are read."""


@dataclass(frozen=True, eq=False)
class Summary:
    """One input's findings, from its ``observation``.

    ``units`` are the words or tokens that all of it is about, ``pieces`` the tokens. ``query_mask`` (n,), ``key_mask``
    (m,) and ``heads`` (L, H) are the units and heads that count. ``overview`` is (L, H), NaN where the head does not.
    ``generated`` has a row for each token that the model wrote: what the token before it looks at, since from there it
    was predicted; ``query_index + 1`` is the token's own place. ``received`` has what looks at units, if that was asked
    for. Unless everything counts, ``positional`` heads are
    left out and of ``dominant`` ones the links at their offset.
    """

    observation: Observation
    units: Reading
    pieces: Reading
    query_mask: Mask
    key_mask: Mask
    heads: Mask
    links: list[Link]
    special_share: float
    punctuation_share: float
    positional: list[Positional]
    dominant: list[Positional]
    cell: Cell
    overview: NDArray[np.float64]
    maps: list[HeadMap]
    attended: list[Attended]
    received: list[Attended]
    generated: list[Attended]
    long_range: list[LongRange]
    profile: Profile | None
    passages: list[Passage]

    @property
    def strongest_heads(self) -> tuple[tuple[int, int], ...]:
        """Layer and head of each of the strongest links, the strongest first."""
        return tuple(dict.fromkeys((link.layer, link.head) for link in self.links))

    @property
    def is_long(self) -> bool:
        """Whether ``long_range``, ``profile`` and ``passages`` are shown."""
        return max(self.observation.shape[2:]) >= LONG


def summarise(
    observation: Observation,
    *,
    heads: Heads | None = None,
    cell: Cell | None = None,
    top: int | None = None,
    links: int | None = None,
) -> Summary:
    """Find what ``show`` prints. What is not given is as in the request of the ``observation``.

    Args:
        heads: the heads whose maps are wanted.
        cell: what a cell of the overview is.
        top: how many keys a word gets, of those that were observed; the average of all heads only where it was.
        links: how many links are listed, of those that were observed.

    Raises:
        UsageError: a layer or head that there is not; a distance between two texts.
    """
    asked = observation.request
    cell, top = cell or asked.cell, asked.top if top is None else top
    units = reading_of(observation)
    pieces = units if observation.unit == "token" else reading_of(observation, "token")
    dominant, counted = _dominant(observation), _counted(observation)
    apart = apart_in(observation, units, -1 if asked.generated else 0)
    kept = without(observation.links, observation.query_mask, apart)
    strength = kept.weights.max((-2, -1), initial=0).astype(np.float64)  # (L, H, n, k) → (L, H)
    lifts = lifted(observation, units, kept) if asked.rank == "lift" else None
    worth = strength if lifts is None or observation.named else lifts.weights.max((-2, -1), initial=0)
    return Summary(
        observation=observation,
        units=units,
        pieces=pieces,
        query_mask=observation.query_mask,
        key_mask=observation.key_mask,
        heads=counted,
        links=_links(units, kept, lifts, counted, asked.links if links is None else links),
        special_share=float(observation.figures["special"].mean()),
        punctuation_share=float(observation.figures["punctuation"].mean()),
        positional=[] if observation.measure.by_layer else positional_heads(observation),
        dominant=dominant,
        cell=cell,
        overview=_overview(observation, counted, strength, cell),
        maps=head_maps(
            observation,
            units,
            _strength_of_words(observation, worth, apart) + counted * (1 + worth.max(initial=0)),
            heads or asked.heads,
        ),
        attended=attended(observation, units, counted, apart, top),
        received=received(observation, units, counted, top),
        generated=generated(observation, units, pieces, counted, top),
        long_range=find_long_range(observation, units, counted, apart),
        profile=find_profile(observation),
        passages=find_passages(observation, units),
    )


def links_from(observation: Observation) -> list[Link]:
    """The strongest links of what was asked for by name, or of all that counts; as many as were asked for."""
    units, query_mask = reading_of(observation), observation.query_mask
    if observation.named:
        query_mask = np.isin(np.arange(len(query_mask)), observation.asked)
    if observation.named_links is not None:
        links = observation.named_links
        return strongest_named(observation, units, _counted(observation), links, observation.request.links)
    shift = -1 if observation.request.generated else 0
    kept = without(observation.links, query_mask, apart_in(observation, units, shift))
    lifts = lifted(observation, units, kept) if observation.request.rank == "lift" else None
    return _links(units, kept, lifts, _counted(observation), observation.request.links)


def _links(units: Reading, kept: Top, lifts: Top | None, heads: Mask, count: int) -> list[Link]:
    """The links at the top: by lift, where that is given, or by weight."""
    if lifts is None:
        return strongest_pairs(units, kept, heads, count)
    return unusual_pairs(units, kept, lifts, heads, count)


def _strength_of_words(
    observation: Observation, strength: NDArray[np.float64], apart: Sequence[DominantOffset]
) -> NDArray[np.float64]:
    """The largest weight of each head from the words that were asked for; ``strength`` where none were."""
    if not observation.named:
        return strength
    links = observation.named_links
    if links is None:
        every = np.ones(len(observation.query_mask), bool)
        found = without(observation.links, every, apart).weights[:, :, list(observation.asked)]
    else:
        found = links.weights
    return np.asarray(found.max((-2, -1), initial=0), np.float64)


def _dominant(observation: Observation) -> list[Positional]:
    """The heads whose links at one offset do not count."""
    every = observation.everything or observation.large or observation.measure.by_layer
    return [] if every else dominant_offset_heads(observation)


def _counted(observation: Observation) -> Mask:
    """The heads that count, (L, H); of maps that say what came through all layers, that of the last."""
    counted = np.ones((observation.layers, observation.heads), bool)
    if observation.measure.cumulative:
        counted[:-1] = False
    for found in [] if observation.everything or observation.measure.by_layer else positional_heads(observation):
        counted[observation.layer_numbers.index(found.layer), found.head] = False
    return counted


def _overview(observation: Observation, heads: Mask, strength: NDArray[np.float64], cell: Cell) -> NDArray[np.float64]:
    """Of each head what the ``cell`` says."""
    if cell == "distance" and observation.keys is not None:
        raise UsageError("there is no distance between two texts", hint="Ask for link, entropy or sink.")
    if cell != "link":
        return observation.figures[cell]
    return strength if observation.measure.by_layer else np.where(heads, strength, np.nan)
