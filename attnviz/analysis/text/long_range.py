"""Findings on long texts: links by distance, attention by distance, and the passages that receive most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.kept import strongest_pairs
from attnviz.analysis.text.links import Link
from attnviz.analysis.text.offsets import DominantOffset
from attnviz.analysis.text.units import Axis, Mask, Reading
from attnviz.encoding import Encoding, Place, Window, WordSpans
from attnviz.record import Observation, Top

LISTED = 3
"""The number of links that are found in each band of distances."""


@dataclass(frozen=True)
class LongRangeLink:
    """A link between units that are ``distance`` units apart, and the places of both in the text."""

    link: Link
    distance: int
    query: Place
    key: Place


@dataclass(frozen=True)
class LongRange:
    """The strongest links of one band of distances: ``near`` ≤ distance < ``far`` in units; None has no end."""

    near: int
    far: int | None
    links: list[LongRangeLink]


@dataclass(frozen=True, eq=False)
class Profile:
    """The share of attention by distance in tokens, averaged over queries and heads.

    ``first`` (L,) is the share of the first token. ``shares`` (L, bands + 1) are those of the query itself and of the
    bands of distances that begin at ``edges``, without the first token. Together they are 1.
    """

    edges: tuple[int, ...]
    first: NDArray[np.float64]
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class Passage:
    """A passage, the units from ``start`` to ``stop`` (exclusive), and how much the rest of the text looks at it.

    ``number`` counts from 1, or is the number of the unit if units are larger than words; ``text`` are its first words.
    ``received`` compares two shares. The first is the share of this passage in all attention that goes, in all heads,
    from queries to counting units outside of their own passage. The second is what that share would be if each query
    looked equally at all counting units that it sees: earlier ones in a causal model, and those in its window of the
    text if there are windows; the windows of layers are ignored. ``received`` is the first divided by the second, so 1
    is as expected. It is NaN if no other passage sees this one, or if no unit in it counts.
    """

    number: int
    line: int
    start: int
    stop: int
    text: str
    received: float


def find_long_range(
    observation: Observation, units: Reading, heads: Mask, dominant_offsets: Sequence[DominantOffset]
) -> list[LongRange]:
    """The strongest links of each band of distances that has some, in the ``heads`` that count (L, H).

    Links at the dominant offset of a head are left out; it may have thousands. If these have crowded out other links
    that are weaker than some weight, no links below that weight are listed.
    """
    places, found = WordSpans(observation.encoding), []
    words = _words(observation.encoding, units.queries)
    for band, near in enumerate(observation.edges):
        kept = observation.bands
        queries = None if kept.queries is None else kept.queries[:, :, band].copy()
        top = Top(kept.weights[:, :, band].copy(), kept.keys[:, :, band].copy(), queries)
        far = observation.edges[band + 1] if band + 1 < len(observation.edges) else None
        least = max((_elsewhere(observation, top, dominant, near, far) for dominant in dominant_offsets), default=0.0)
        links = [
            LongRangeLink(
                link,
                abs(link.query_index - link.key_index),
                places.place(int(words[link.query_index])),
                places.place(int(words[link.key_index])),
            )
            for link in strongest_pairs(units, top, heads, LISTED)
            if link.weight >= least
        ]
        if links:
            found.append(LongRange(near, far, links))
    return found


def _elsewhere(observation: Observation, top: Top, dominant: DominantOffset, near: int, far: int | None) -> float:
    """Replace a head's links in ``top`` (L, H, k), of one band, by the strongest ones that are not at its offset.

    They are found among the strongest links of the band and of each query. A link in neither list is no stronger than
    the weakest link of both. If fewer than k links are that strong, this weight is returned, since weaker links may be
    missing; else 0.
    """
    place = dominant.layer, dominant.head
    if top.queries is None or not _at_offset(dominant, top.queries[place], top.keys[place]).any():
        return 0.0
    count = top.weights.shape[-1]
    query_mask = np.flatnonzero(observation.query_mask)
    weights, keys = (each[place][query_mask] for each in (observation.links.weights, observation.links.keys))  # (n, k)
    queries = np.broadcast_to(query_mask[:, None], keys.shape)
    apart = abs(keys - queries)
    inside = (apart >= near) & (apart < (len(observation.query_mask) if far is None else far))
    kept = [
        np.concatenate((ours, theirs[inside]))
        for ours, theirs in ((top.weights[place], weights), (top.queries[place], queries), (top.keys[place], keys))
    ]
    least = min(top.weights[place].min(), weights[:, -1].max(initial=0))
    other = (kept[0] > 0) & (kept[0] >= least) & ~_at_offset(dominant, kept[1], kept[2])
    pairs, first = np.unique(np.stack([each[other] for each in kept[1:]]), axis=1, return_index=True)
    strengths = kept[0][other][first]
    order = np.argsort(-strengths, kind="stable")[:count]
    top.weights[place], top.queries[place], top.keys[place] = 0, -1, -1
    top.weights[place][: len(order)] = strengths[order]
    top.queries[place][: len(order)], top.keys[place][: len(order)] = pairs[:, order]
    return float(least) if len(order) < count else 0.0


def _at_offset(dominant: DominantOffset, queries: NDArray[np.integer[Any]], keys: NDArray[np.integer[Any]]) -> Mask:
    """Whether each link is at the head's offset."""
    return np.asarray((dominant.keys[queries] == keys) & (queries >= 0))


def find_profile(observation: Observation) -> Profile | None:
    """The profile of distances; None for cross-attention."""
    if observation.keys is not None:
        return None
    # (L, H, bands + 1) → (L, bands + 1)
    return Profile(observation.distances, observation.figures["first"].mean(1), observation.profile.mean(1))


def find_passages(observation: Observation, keys: Reading) -> list[Passage]:
    """The passages of the keys' text, and what each receives from the others; none if there is only one.

    ``keys`` is the text in the observation's units.
    """
    if not observation.passages:
        return []
    encoding = observation.key_encoding
    starts = np.array([*observation.passages, len(encoding)])
    words, firsts = _words(encoding, keys.keys), keys.keys.starts
    content = np.repeat(observation.key_mask, np.diff([*firsts, len(encoding)]))  # (M,)
    received = np.add.reduceat(np.where(content, observation.received.sum((0, 1), dtype=np.float64), 0), starts[:-1])
    expected = _expected(observation, content, starts)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (received / received.sum()) / (expected / expected.sum())
    ratio[expected == 0] = np.nan
    places, found = WordSpans(encoding), []
    bounds = np.searchsorted(firsts, starts)
    for i, (start, stop) in enumerate(pairwise(bounds)):
        number, line, text = i + 1, *places.beginning(int(words[start]), int(words[stop - 1]) + 1)
        if observation.large:
            number, line, text = i, keys.keys.lines[i], keys.keys.labels[i]
        found.append(Passage(number, line, int(start), int(stop), text, float(ratio[i])))
    return found


def _expected(observation: Observation, content: Mask, starts: NDArray[np.intp]) -> NDArray[np.float64]:
    """What each passage would receive if all queries of other passages looked equally at all content that they see."""
    queries = np.ones(len(observation.encoding), bool) if observation.within is None else observation.within
    if observation.windows:
        return np.asarray(
            sum(_expected_of(observation, window, queries, content, starts) for window in observation.windows)
        )
    size: NDArray[np.float64] = np.add.reduceat(content.astype(np.float64), starts[:-1])
    if observation.keys is not None:
        return size
    if not observation.causal:
        others: NDArray[np.float64] = queries.sum() - np.add.reduceat(queries.astype(np.float64), starts[:-1])
        return np.asarray(size * others)
    seen = content.cumsum()
    each = np.where(
        queries & (seen > 0), 1 / np.maximum(seen, 1), 0
    )  # the equal share of each content unit that a query sees
    later = np.append(each[::-1].cumsum()[::-1], 0)
    return np.asarray(size * later[starts[1:]])


def _expected_of(
    observation: Observation, window: Window, queries: Mask, content: Mask, starts: NDArray[np.intp]
) -> NDArray[np.float64]:
    """``_expected`` for the queries that are kept of a ``window``, and the parts of passages that it contains."""
    seen = np.zeros(len(content) + 1)  # how much content of the window there is before each token
    seen[window.start + 1 :] = content[window.start :].cumsum()
    if observation.window_sinks:
        seen[window.start + 1 :] -= content[window.start]
    seen[window.stop :] = seen[window.stop]
    sees = seen[1:] if observation.causal else np.full(len(content), seen[-1])
    query_mask = queries.copy()
    query_mask[: window.first] = query_mask[window.last :] = False
    each = np.append(0, np.where(query_mask & (sees > 0), 1 / np.maximum(sees, 1), 0).cumsum())
    size, own = np.diff(seen[starts]), np.diff(each[starts])
    others = each[-1] - each[starts[1:]] if observation.causal else each[-1] - own
    return np.asarray(size * others)


def _words(encoding: Encoding, units: Axis) -> NDArray[np.intp]:
    """For each unit of ``encoding`` the number of the word that it is, is part of, or begins with."""
    firsts = [word.start for word in encoding.words]
    return np.searchsorted(firsts, units.starts, side="right") - 1
