"""Which heads take one word to another, and how unusual that is for them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.table import Column, Table, ranked_by
from attnviz.analysis.text.shown_maps import of_heads
from attnviz.analysis.text.units import Reading, reading_of
from attnviz.analysis.text.usual import lifts_of, places_of, sizes_of
from attnviz.analysis.text.wanted import Place
from attnviz.errors import UsageError
from attnviz.record import Measure, Observation, Pairs, Usual

RANKS = ("lift", "mean_lift", "key_lift", "distance_lift", "weight")
"""What links can be ranked by."""
MOST = 1000
"""How many pairs of units are ranked: of more, those with the largest weights."""
_COLUMNS = (
    Column("layer", "the layer of the head", "count"),
    Column("head", "the head", "count"),
    Column("query", "the word that looks, with the number of its occurrence where there are several"),
    Column("key", "the word that is looked at"),
    Column("query_index", "the number of the first unit of the query, from 0", "count", shown=False),
    Column("key_index", "the number of the first unit of the key, from 0", "count", shown=False),
    Column("weight", "the share of its attention that the query gives the key in this head", "weight"),
    Column("lift", "the smaller of key_lift and distance_lift: how many times what is usual for this head", "lift"),
    Column("key_lift", "weight / key_mean", "lift"),
    Column("distance_lift", "weight / distance_mean", "lift"),
    Column("key_mean", "what the other queries that see the key give it on average in this head", "weight"),
    Column("distance_mean", "the head's average weight over the other pairs at the same distance", "weight"),
    Column("mean_lift", "weight / the geometric mean of key_mean and distance_mean", "lift", shown=False),
)
_FIGURES = tuple(column.name for column in _COLUMNS[6:])
_NOTE = (
    "Lift is the weight divided by what is usual for the head: to this key (key_lift), and at this distance "
    "(distance_lift). No mean counts as less than an even spread over what the query sees."
)
_CROSS_NOTE = (
    "Lift is the weight divided by what the other queries give the key on average in this head, which counts for no "
    "less than an even spread over what the query sees. Queries are words of the target, keys of the source."
)
_APART = ("distance_lift", "distance_mean", "mean_lift")
"""What there is of links within one text only."""
_OWN = "The means of a key have in them what it keeps of itself by the residual connection: lifts are small."


def find_links(observation: Observation, *, rank: str = "lift", both: bool = True) -> Table:
    """Rank all heads by how much, and how unusually, some words look at others.

    ``weight`` is the weight of a head from the query to the key: the sum over the tokens of the key, the mean over
    those of the query (Clark et al. 2019). ``key_lift`` is that divided by the mean weight of the other queries that
    see the key; ``distance_lift`` by the head's mean weight over the other pairs at the same distance. A mean counts
    for no less than the weight that the key would get if the query spread its attention evenly over what it sees.
    Several words that stand side by side are one query, or one key.

    Args:
        observation: made with ``pairs`` in its request.
        rank: the column by which the links are ranked, one of ``RANKS``.
        both: where words are looked for on both sides, list the other direction as well.

    Raises:
        UsageError: a query sees none of the keys; a rank that there is not.
    """
    if rank not in RANKS:
        raise UsageError(f"links can't be ranked by {rank!r}", hint=f"Rank them by {', '.join(RANKS)}.")
    units, usual, pairs = reading_of(observation), observation.usual, observation.request.pairs
    if usual is None or not isinstance(pairs, Pairs):
        raise ValueError("the observation was made without pairs")
    if not units.one_text and rank in _APART:
        raise UsageError(f"between two texts there is no distance, and so no {rank}", hint="Rank by lift or weight.")
    search = _Search(observation, units, usual)
    links = search.directions(pairs, both=both and units.one_text)
    if not links:
        raise search.unseen(pairs)
    values: dict[str, NDArray[Any]] = {
        name: np.concatenate([np.asarray(link[name]) for link in links]) for name in links[0]
    }
    measure = observation.measure
    title = _title(pairs, measure)
    about = {
        "model": observation.model, "text": observation.encoding.text, "unit": units.kind, "map": observation.kind,
        "weights": measure.name, "from": list(pairs.from_), "to": list(pairs.to),
    }  # fmt: skip
    notes = (
        *measured_notes(measure),
        _NOTE if units.one_text else _CROSS_NOTE,
        *([_OWN] if measure.residual else []),
        *search.notes,
    )
    found = ranked_by(Table("find", title, _columns(measure), values, about=about, notes=notes), rank)
    found = of_heads(found, observation, observation.request.heads)
    found = found if units.one_text else _between(found)
    return found.without("head") if measure.by_layer else found


def _between(table: Table) -> Table:
    """The table of links between two texts: there is no distance, and the lift is that of the key."""
    table = table.without(*_APART)
    about = "weight / key_mean: how many times what is usual for this head"
    changed = {
        "lift": replace(table.column("lift"), about=about),
        "key_lift": replace(table.column("key_lift"), shown=table.ranked == "key_lift"),
    }
    columns = tuple(changed.get(each.name, each) for each in table.columns)
    return replace(table, columns=columns)


def _title(pairs: Pairs, measure: Measure) -> str:
    from_, to = (" and ".join(map(repr, names)) for names in (pairs.from_, pairs.to))
    if from_ and to:
        return f"Which {'layers' if measure.by_layer else 'heads'} take {from_} to {to}?"
    if not measure.plain:
        return f"What does {from_} take from?" if from_ else f"What takes from {to}?"
    return f"What does {from_} look at?" if from_ else f"What looks at {to}?"


def measured_notes(measure: Measure) -> tuple[str, ...]:
    """What must be said of weights that are no attention weights."""
    return () if measure.plain else (f"The weights are {measure.title} ({measure.source}).",)


def _columns(measure: Measure) -> tuple[Column, ...]:
    """The columns, with what the weights are; numbers of any size have as many digits as tell them apart."""
    if measure.plain:
        return _COLUMNS
    about = f"{measure.title}, of the query and the key ({measure.source})"
    return tuple(
        replace(each, kind="number" if each.kind == "weight" else each.kind,
                about=about if each.name == "weight" else each.about.replace("the head's", "its"))
        for each in _COLUMNS
    )  # fmt: skip


class _Search:
    """The links between places of one observation."""

    def __init__(self, observation: Observation, units: Reading, usual: Usual) -> None:
        self._observation, self._units, self._usual = observation, units, usual
        self._sizes = sizes_of(units, observation.shape[2:])
        self._from = {int(unit): i for i, unit in enumerate(usual.from_)}
        self._to = {int(unit): i for i, unit in enumerate(usual.to)}
        self.notes: list[str] = []

    def directions(self, pairs: Pairs, *, both: bool) -> list[dict[str, Any]]:
        """The links from one to the other, and back where both sides are given."""
        keys = self._observation.encoding if self._observation.keys is None else self._observation.keys
        from_, to = places_of(self._units, self._observation.encoding, keys, pairs)
        ways = [(from_ or self._counted(rows=True), to or self._counted(rows=False))]
        if both and from_ and to:
            ways.append((to, from_))
        looking = {place for queries, _ in ways for place in queries if self._from.keys() >= {*place.numbers}}
        seen = {place for _, keys_ in ways for place in keys_ if self._to.keys() >= {*place.numbers}}
        found = [pair for way in ways for pair in product(*way) if pair[0] in looking or pair[1] in seen]
        if self._units.one_text:
            found = [(query, key) for query, key in found if query != key]
        self._tell("query", pairs.from_, from_, {query for query, _ in found})
        self._tell("key", pairs.to, to, {key for _, key in found})
        return [link for query, key in self._strongest(found) if (link := self._link(query, key)) is not None]

    def _tell(self, side: str, wanted: tuple[str, ...], places: list[Place], ranked: set[Place]) -> None:
        """Say that words occur several times, and how many of the places are ranked."""
        if not len(places) > len(wanted) > 0:
            return
        names = ", ".join(place.name for place in places[:4]) + (", …" if len(places) > 4 else "")
        count = sum(place in ranked for place in places)
        if 0 < count < len(places) and count <= len({*self._from, *self._to}):
            self.notes.append(
                f"The {side} occurs {len(places):,} times, more than there is room for: {count:,} of them, evenly over "
                f"the text, are ranked, each by itself. Name one: {places[1].name}."
            )
        else:
            self.notes.append(f"The {side} occurs {len(places):,} times, each listed by itself: {names}.")

    def _counted(self, *, rows: bool) -> list[Place]:
        """All units that count, where none are named."""
        axis = self._units.queries if rows else self._units.keys
        mask = self._observation.query_mask if rows else self._observation.key_mask
        return [Place(axis.names[i], (i, i + 1)) for i in np.flatnonzero(mask).tolist()]

    def _strongest(self, pairs: list[tuple[Place, Place]]) -> list[tuple[Place, Place]]:
        """The pairs, or those with the largest weights of any head, in order."""
        if len(pairs) <= MOST:
            return pairs
        rows, columns = self._usual.rows.max((0, 1)), self._usual.columns.max((0, 1))  # (from, m), (n, to)
        strength = np.array([
            max(
                rows[self._from[i], j] if i in self._from else columns[i, self._to[j]]
                for i in query.numbers for j in key.numbers
            )
            for query, key in pairs
        ])  # fmt: skip
        self.notes.append(
            f"Of {len(pairs):,} pairs of {self._units.kind}s the {MOST:,} with the largest weights are ranked."
        )
        return [pairs[i] for i in np.sort(np.argsort(-strength, kind="stable")[:MOST])]

    def unseen(self, pairs: Pairs) -> UsageError:
        """Why there is no link."""
        from_, to = (", ".join(names) or "any word" for names in (pairs.from_, pairs.to))
        if from_ == to and self._units.one_text:
            return UsageError(
                f"{from_!r} occurs once, and what a word gives itself is not ranked",
                hint="Give another word to look at.",
            )
        hint = "In a causal model, words see only what comes before them."
        if not (pairs.from_ and pairs.to):
            hint += " Special tokens count with `special`, function words with `language` none."
        return UsageError(f"no head sees a link from {from_} to {to}", hint=hint)

    def _weights(self, query: Place, key: Place) -> NDArray[np.float64]:
        """The weights between the units of both (L, H, queries, keys)."""
        usual, queries, keys = self._usual, list(query.numbers), list(key.numbers)
        if self._from.keys() >= {*queries}:
            rows = [self._from[unit] for unit in queries]
            return np.asarray(usual.rows[:, :, np.array(rows)[:, None], keys])
        columns = [self._to[unit] for unit in keys]
        return np.asarray(usual.columns[:, :, np.array(queries)[:, None], columns])

    def _link(self, query: Place, key: Place) -> dict[str, Any] | None:
        """The link of every head, as columns; None where no head sees it."""
        weights = self._weights(query, key)
        if not weights.any():
            return None
        layers, heads = weights.shape[:2]
        count = layers * heads
        queries, keys = (np.tile(np.array(place.numbers), (count, 1)) for place in (query, key))
        places = np.repeat(np.arange(layers), heads), np.tile(np.arange(heads), layers)
        found = lifts_of(
            self._usual,
            self._sizes,
            places,
            queries,
            keys,
            weights.reshape(count, *weights.shape[2:]),
        )
        return {
            "layer": np.array(self._observation.layer_numbers)[places[0]], "head": places[1],
            "query": np.full(count, query.name, object), "key": np.full(count, key.name, object),
            "query_index": queries[:, 0], "key_index": keys[:, 0],
            **{name: getattr(found, name) for name in _FIGURES},
        }  # fmt: skip
