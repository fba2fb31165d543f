"""Which heads take one word to another, and how unusual that is for them."""

from __future__ import annotations

from dataclasses import replace
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
"""Of how many units links are ranked where only one side is named: of more, those with the largest weights."""
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
    search = _Search(observation, units, usual)
    links = search.directions(pairs, both=both and units.one_text)
    if not links:
        raise UsageError(search.unseen(pairs), hint="In a causal model, words see only what comes before them.")
    values: dict[str, NDArray[Any]] = {
        name: np.concatenate([np.asarray(link[name]) for link in links]) for name in links[0]
    }
    measure = observation.measure
    title = _title(pairs, measure)
    about = {
        "model": observation.model, "text": observation.encoding.text, "unit": units.kind, "map": observation.kind,
        "weights": measure.name, "from": list(pairs.from_), "to": list(pairs.to),
    }  # fmt: skip
    notes = (*measured_notes(measure), _NOTE, *([_OWN] if measure.residual else []), *search.notes)
    found = ranked_by(Table("find", title, _columns(measure), values, about=about, notes=notes), rank)
    found = of_heads(found, observation, observation.request.heads)
    return found.without("head") if measure.by_layer else found


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
        self._tell(from_, "query", pairs.from_)
        self._tell(to, "key", pairs.to)
        ways = [(from_ or self._counted(rows=True), to or self._counted(rows=False))]
        if both and from_ and to:
            ways.append((to, from_))
        return [
            link for queries, keys_ in ways for query in queries for key in keys_
            if (link := self._link(query, key)) is not None
        ]  # fmt: skip

    def _tell(self, places: list[Place], side: str, wanted: tuple[str, ...]) -> None:
        if len(places) > len(wanted) > 0:
            names = ", ".join(place.name for place in places[:4]) + (", …" if len(places) > 4 else "")
            self.notes.append(f"The {side} occurs {len(places)} times, each listed by itself: {names}.")

    def _counted(self, *, rows: bool) -> list[Place]:
        """All units that count, where none are named."""
        axis = self._units.queries if rows else self._units.keys
        mask = self._observation.query_mask if rows else self._observation.key_mask
        counted, usual = np.flatnonzero(mask), self._usual
        if len(counted) > MOST:
            strength = usual.columns.max((0, 1, 3)) if rows else usual.rows.max((0, 1, 2))  # (n,) or (m,)
            counted = np.sort(counted[np.argsort(-strength[counted], kind="stable")[:MOST]])
            self.notes.append(
                f"Of {mask.sum():,} {self._units.kind}s the {MOST:,} with the largest weights are ranked."
            )
        return [Place(axis.names[i], (i, i + 1)) for i in counted.tolist()]

    def unseen(self, pairs: Pairs) -> str:
        """Why there is no link."""
        return f"no head sees a link from {', '.join(pairs.from_) or 'any word'} to {', '.join(pairs.to) or 'any word'}"

    def _weights(self, query: Place, key: Place) -> NDArray[np.float64]:
        """The weights between the units of both (L, H, queries, keys)."""
        usual, queries, keys = self._usual, list(query.numbers), list(key.numbers)
        if all(unit in self._from for unit in queries):
            rows = usual.rows[:, :, [self._from[unit] for unit in queries]]
            return np.asarray(rows[..., keys])
        if all(unit in self._to for unit in keys):
            columns = usual.columns[..., [self._to[unit] for unit in keys]]
            return np.asarray(columns[:, :, queries])
        raise ValueError("neither side was observed")

    def _link(self, query: Place, key: Place) -> dict[str, Any] | None:
        """The link of every head, as columns; None where no head sees it."""
        if self._units.one_text and query == key:
            return None
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
