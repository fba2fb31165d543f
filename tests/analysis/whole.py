"""The summary of a text straight from all of its weights, by plain definitions: what observers are held to.

``Units`` are the words or tokens of a record with the weights between them; a ``Selection`` says what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.languages import ENGLISH
from attnviz.analysis.text import offsets as rules
from attnviz.analysis.text.crop import spans
from attnviz.analysis.text.links import Attended, Link, counting, find_unit, top_keys
from attnviz.analysis.text.offsets import DominantOffset, Positional, dominant_offsets
from attnviz.analysis.text.shown_maps import HeadMap, pick_heads, shown_of
from attnviz.analysis.text.units import Mask, Reading, read_in, within
from attnviz.record import Array, AttentionRecord, Crop, Request, Unit

PerHead = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Units(Reading):
    """The words or tokens of a record, and all the weights between them, (L, H, n, m)."""

    weights: Array = field(kw_only=True)


def in_words(attention: AttentionRecord, language: str = ENGLISH) -> Units:
    """Word weights: summed over the key's pieces, averaged over the query's (Clark et al. 2019)."""
    queries, keys = ([word.start for word in text.words] for text in (attention.encoding, attention.key_encoding))
    weights = np.add.reduceat(attention.weights, keys, axis=-1)  # (L, H, N, M) → (L, H, N, m)
    weights = np.add.reduceat(weights, queries, axis=-2)
    weights /= np.diff([*queries, len(attention.tokens)])[:, None].astype(weights.dtype)
    return _units("word", attention, weights, language)


def in_tokens(attention: AttentionRecord, language: str = ENGLISH) -> Units:
    """Token weights as they are; a token is a function word where the word that it is a piece of is one."""
    return _units("token", attention, attention.weights, language)


def _units(kind: Unit, attention: AttentionRecord, weights: Array, language: str) -> Units:
    reading = read_in(kind, attention.encoding, attention.keys, attention.layer_numbers, language)
    return Units(**vars(reading), weights=weights)


def entropy(weights: Array) -> PerHead:
    """−Σₖ A ln A in nats, averaged over the queries (Clark et al. 2019), (L, H)."""
    logs = np.log(weights, where=weights > 0, out=np.zeros_like(weights))
    return np.asarray(np.einsum("lhqk,lhqk->lhq", weights, -logs).mean(-1, dtype=np.float64)) + 0.0  # no −0


def distance(weights: Array, queries: NDArray[np.intp] | None = None) -> PerHead:
    """Σₖ A · |q − k| in tokens of one text, averaged over the queries (Vig & Belinkov 2019), (L, H).

    ``queries`` are the places of the rows, where these are not all.
    """
    places = np.arange(weights.shape[-1])
    apart = np.abs((places if queries is None else queries)[:, None] - places[None, :]).astype(weights.dtype)
    return np.asarray(np.einsum("lhqk,qk->lhq", weights, apart).mean(-1, dtype=np.float64))


def sink(weights: Array, causal: bool, queries: NDArray[np.intp] | None = None) -> PerHead:
    """The largest mean weight that one key takes of the queries from it on, of all in an encoder, (L, H).

    As Gu et al. (2025) define it: a query that a layer's window keeps from the key gives it 0, for a sink takes weight
    whatever the query. The last keys of a causal model have few queries; the keys that have half of all are compared.
    ``queries`` are the places of the rows, where these are not all.
    """
    places = np.arange(weights.shape[-2]) if queries is None else queries
    received, keys = weights.sum(-2, dtype=np.float64), np.arange(weights.shape[-1])
    count = np.array([sum(places >= key) if causal else len(places) for key in keys])
    return np.asarray(np.where(count * 2 >= len(places), received / np.maximum(count, 1), -1).max(-1))


def share(weights: Array, keys: NDArray[np.bool_]) -> float:
    """The part of all attention that goes to ``keys``, between 0 and 1: the mean over layers, heads and queries."""
    return float(weights[..., keys].sum(-1, dtype=np.float64).mean())


def positional_heads(found: AttentionRecord) -> list[Positional]:
    """The heads of which one offset holds the largest weight in 90 % of the queries that are no special tokens."""
    return [head for head in _heads(found, rules.MIN_QUERIES) if head.share >= rules.POSITIONAL]


def dominant_offset_heads(found: AttentionRecord) -> list[Positional]:
    """Those that are not positional, of which one offset does so in half of many queries, or in 60 % of few."""
    many = found.encoding.special.count(False) >= rules.MANY_QUERIES
    least = rules.DOMINANT if many else rules.FREQUENT
    return [head for head in _heads(found, rules.MIN_QUERIES) if least <= head.share < rules.POSITIONAL]


def _heads(found: AttentionRecord, least: int) -> list[Positional]:
    queries = np.flatnonzero(~np.array(found.encoding.special))
    if len(queries) < least or found.keys is not None:
        return []
    offsets = found.weights[:, :, queries].argmax(-1) - queries  # (L, H, queries)
    heads = []
    for layer, head in np.ndindex(offsets.shape[:2]):
        values, counts = np.unique(offsets[layer, head], return_counts=True)
        best = int(counts.argmax())
        heads.append(
            Positional(found.layer_numbers[layer], head, int(values[best]), float(counts[best] / len(queries)))
        )
    return heads


@dataclass(frozen=True, eq=False)
class Selection:
    """What counts when links of ``units`` are ranked: which queries, keys and heads (L, H), and self-links or not.

    ``itself``: pairs of the same place count too; where one text looks at another they are pairs like any.
    ``within`` are the units (n,) of a passage, where only those look. ``dominant_offsets``: the
    links of a head at its offset do not count.
    What several views need of it is computed once, when the first asks.
    """

    units: Units
    queries: Mask
    keys: Mask
    heads: Mask
    itself: bool
    within: Mask | None = None
    dominant_offsets: Sequence[DominantOffset] = ()

    @cached_property
    def pairs(self) -> Mask:
        """(queries, keys) that count."""
        pairs = self.queries[:, None] & self.keys[None, :]
        if not self.itself:
            np.fill_diagonal(pairs, False)
        return pairs

    @cached_property
    def best(self) -> tuple[Array, NDArray[np.intp]]:
        """For each pair its largest weight over the heads that count, and that head's number l·H + h, both (n, m)."""
        return best_heads(self.units.weights, self.heads, self.dominant_offsets)

    @cached_property
    def strength(self) -> NDArray[np.float64]:
        """Each head's largest weight among the pairs that count, (L, H); zero where no pair does."""
        strength = np.asarray(np.max(self.units.weights, axis=(-2, -1), where=self.pairs, initial=0), np.float64)
        for dominant in self.dominant_offsets:
            pairs = self.pairs & (np.arange(len(self.keys)) != dominant.keys[:, None])
            strength[dominant.layer, dominant.head] = self.units.weights[dominant.layer, dominant.head].max(
                where=pairs, initial=0
            )
        return strength


def select(
    units: Units,
    positional: Sequence[Positional] = (),
    *,
    causal: bool,
    special: bool = False,
    function: bool = False,
    everything: bool = False,
) -> Selection:
    """What counts by default: links between different content words, without the ``positional`` heads.

    In a causal model the first unit is a sink as [CLS] is in BERT, and left out as a key (Xiao et al. 2024). Two
    texts are neither causal nor is a unit of one the same as a unit of the other.

    Args:
        special: special tokens, punctuation and sinks count too.
        function: function words count too.
        everything: all of these count, positional heads and self-links as well.
    """
    queries, keys, itself = counting(units, causal=causal, special=special, function=function, everything=everything)
    heads = np.ones(units.weights.shape[:2], bool)
    if not everything:
        for found in positional:
            heads[units.layers.index(found.layer), found.head] = False
    return Selection(units, queries, keys, heads, itself)


def strongest(selection: Selection, top: int) -> list[Link]:
    """The ``top`` strongest links, each pair of units once, in the head where it is strongest."""
    weights, heads = selection.best
    weights = np.where(selection.pairs, weights, -1)
    order = np.argsort(-weights, axis=None, kind="stable")[:top]
    pairs = zip(*np.unravel_index(order, weights.shape), strict=True)
    return [_link(selection.units, heads, int(q), int(k), float(weights[q, k])) for q, k in pairs if weights[q, k] > 0]


def best_heads(
    weights: Array, heads: Mask, dominant_offsets: Sequence[DominantOffset] = ()
) -> tuple[Array, NDArray[np.intp]]:
    """For each pair its largest weight over the ``heads`` that count, and that head's number l·H + h, both (n, m).

    The links of ``dominant_offsets`` are no links of their heads.
    """
    flat = weights.reshape(-1, *weights.shape[2:])  # (L, H, n, m) → (L·H, n, m)
    numbers = np.flatnonzero(heads)
    if not len(numbers):
        return np.zeros_like(flat[0]), np.zeros(flat[0].shape, np.intp)
    counted = flat[numbers]
    for dominant in dominant_offsets:
        queries = np.flatnonzero(dominant.keys >= 0)
        row = np.flatnonzero(numbers == dominant.layer * weights.shape[1] + dominant.head)
        counted[row[:, None], queries, dominant.keys[queries]] = 0
    best = counted.argmax(0)
    return np.take_along_axis(counted, best[None], 0)[0], numbers[best]


def _link(units: Units, heads: NDArray[np.intp], query: int, key: int, weight: float) -> Link:
    layer, head = divmod(int(heads[query, key]), units.weights.shape[1])
    return Link(units.layers[layer], head, units.queries.labels[query], units.keys.labels[key], query, key, weight)


def top_attended(selection: Selection, queries: Sequence[int], top: int) -> list[Attended]:
    """For each of ``queries`` the ``top`` keys by their best head, and by the average over all heads."""
    units, (best, heads) = selection.units, selection.best
    mean = units.weights.mean((0, 1))
    found = []
    for query in queries:
        keys = selection.keys.copy()
        if not selection.itself:
            keys[query] = False
        strong, usual = (top_keys(row[query], keys, top) for row in (best, mean))
        links = tuple(_link(units, heads, query, key, weight) for key, weight in strong)
        found.append(Attended(units.queries.labels[query], query, links, usual))
    return found


@dataclass(frozen=True, eq=False)
class Whole:
    """What ``Summary`` has, from all weights."""

    attention: AttentionRecord
    units: Units
    pieces: Units
    query_mask: Mask
    key_mask: Mask
    heads: Mask
    links: list[Link]
    special_share: float
    punctuation_share: float
    positional: list[Positional]
    dominant: list[Positional]
    overview: PerHead
    maps: list[HeadMap]
    attended: list[Attended]
    generated: list[Attended]


def summarise(attention: AttentionRecord, request: Request | None = None) -> Whole:
    """What is asked for, and all that counts by default."""
    ask = request or Request()
    pieces = in_tokens(attention, ask.language)
    units = pieces if ask.unit == "token" else in_words(attention, ask.language)
    positional = positional_heads(attention)
    dominant = [] if ask.everything else dominant_offset_heads(attention)
    chosen = {"causal": attention.causal, "special": ask.special, "everything": ask.everything}
    selection = select(units, positional, **chosen)
    selection = replace(selection, dominant_offsets=dominant_offsets(dominant, units, attention.encoding))
    rows, weights = np.arange(len(pieces.queries)), attention.weights
    if ask.passage is not None:
        inside = within(units.kind, attention.encoding, ask.passage)
        selection = replace(selection, queries=selection.queries & inside, within=inside)
        rows = np.flatnonzero(within("token", attention.encoding, ask.passage))
        weights = weights[:, :, rows]
    named = [i for word in ask.words for i in find_unit(units, word)]
    queries = named if ask.words else np.flatnonzero(selection.queries).tolist()
    overview = {
        "link": lambda: np.where(selection.heads, selection.strength, np.nan),
        "entropy": lambda: entropy(weights),
        "distance": lambda: distance(weights, rows),
        "sink": lambda: sink(weights, attention.causal, rows),
    }[ask.cell]()
    making = select(pieces, positional, function=True, **chosen)
    making = replace(making, itself=True, dominant_offsets=dominant_offsets(dominant, pieces, attention.encoding))
    new, n = attention.encoding.generated, len(attention.tokens)
    return Whole(
        attention, units, pieces, selection.queries, selection.keys, selection.heads, strongest(selection, ask.links),
        share(weights, pieces.keys.special), share(weights, pieces.keys.punctuation), positional, dominant, overview,
        pick_maps(selection, ask, named), top_attended(selection, queries, ask.top),
        top_attended(making, range(max(n - new, 1) - 1, n - 1) if new else [], ask.top),
    )  # fmt: skip


def shown_units(
    units: Reading, crop: Crop | None = None, *, special: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The units that a map shows as rows and as columns, of all or of a ``crop``."""
    rows, columns = spans(crop or Crop(), units)
    return shown_of(units.queries, *rows, special=special), shown_of(units.keys, *columns, special=special)


def pick_maps(selection: Selection, ask: Request, named: Sequence[int]) -> list[HeadMap]:
    """The maps of the wanted heads; of words ``named`` those in which one of them looks most."""
    units, special = selection.units, ask.special or ask.everything
    rows, columns = shown_units(units, ask.crop, special=special)
    if selection.within is not None:
        everything, _ = shown_units(units, ask.crop, special=True)
        rows = next(filter(len, (part[selection.within[part]] for part in (rows, everything))), everything)
    strength = selection.strength
    if named:
        strength = replace(selection, queries=np.isin(np.arange(len(units.queries)), named)).strength
    return [
        HeadMap(
            units.layers[layer],
            head,
            (units.weights[layer].mean(0) if head is None else units.weights[layer, head])[np.ix_(rows, columns)],
            rows,
            columns,
        )
        for layer, head in pick_heads(units, strength + selection.heads, ask.heads)
    ]
