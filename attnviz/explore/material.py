"""What the explorer has to show of one text: an observation, and what is looked up in it, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.aligned import Aligned, named_map
from attnviz.analysis.text.compared_rows import divergence
from attnviz.analysis.text.links import Link
from attnviz.analysis.text.ranked_heads import (
    HeadLinks,
    Order,
    RankedHead,
    links_that_count,
    rank_heads,
    strongest_links,
)
from attnviz.analysis.text.replaying import part_of, pick_map, replay
from attnviz.analysis.text.shown_maps import HeadMap, head_maps
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.analysis.text.units import Reading, makers_of
from attnviz.analysis.text.usual import lifts_of, sizes_of
from attnviz.errors import UsageError
from attnviz.explore.view import Part, Place
from attnviz.record import Crop, Heads, Observation
from attnviz.render.heatmap import Heatmap, head_heatmap, overview_heatmap

Zoom = Callable[[Part], Observation]
_KEPT = 256
"""How many maps and rows are kept, so that going back to one costs nothing."""


class Material:
    """One text's attention, as it was observed; ``partial`` where layers are still missing."""

    def __init__(self, observation: Observation, *, partial: bool = False) -> None:
        self.observation = observation
        self.partial = partial
        self.summary: Summary = summarise(observation)
        self.units: Reading = self.summary.units
        self.shape: Place = (observation.layers, observation.heads)
        self._sizes = sizes_of(self.units, observation.shape[2:])
        self.heat = lru_cache(_KEPT)(self._heat)
        self.row = lru_cache(_KEPT)(self._row)
        self.ranked = lru_cache(_KEPT)(self._ranked)
        self.strongest = lru_cache(_KEPT)(self._strongest)
        self.links = lru_cache(_KEPT)(self._links)

    @cached_property
    def makers(self) -> range:
        """The tokens whose rows predicted the generated ones."""
        return makers_of(self.observation.encoding)

    @property
    def first(self) -> Link | None:
        """The strongest link of all."""
        return self.summary.links[0] if self.summary.links else None

    def place(self, link: Link) -> Place:
        """The place of a link's head."""
        return self.units.layers.index(link.layer), link.head

    def _links(self, query: int | None) -> HeadLinks:
        return links_that_count(self.observation, self.units, query)

    def _strongest(self, query: int | None) -> list[list[Link | None]]:
        """The strongest link of each head; of one ``query``, or of all."""
        return strongest_links(self.links(query), self.units)

    def _ranked(self, order: Order, query: int | None) -> list[RankedHead]:
        """The heads in an order; ``query``: by its links."""
        return rank_heads(self.observation, self.summary.heads, self.strongest(query), order)

    def roles(self, head: Place) -> tuple[str, ...]:
        """The roles of a head in the text."""
        return self.ranked("layer", None)[head[0] * self.shape[1] + head[1]].roles

    def overview(self, order: Order, query: int | None) -> Heatmap:
        """A cell for each head: what the order goes by, or how much of the ``query`` goes where it looks most."""
        if order in ("entropy", "sink"):
            values = self.observation.figures[order]
            summary = replace(self.summary, cell=order, overview=values)
            return _numbered(overview_heatmap(summary))
        if query is None:
            return _numbered(overview_heatmap(self.summary))
        found = self.strongest(query)
        weights = np.array([[link.weight if link else np.nan for link in row] for row in found], float)
        return _numbered(overview_heatmap(replace(self.summary, cell="link", overview=weights)))

    def _heat(self, head: Place, part: Part | None) -> Heatmap:
        """The map of one head, exact where all weights are kept and only a part is asked for."""
        observation = self.observation
        if part is None:
            return head_heatmap(self.units, self._map(observation, head))
        if observation.maps.down == observation.maps.across == 1:
            return _cropped(head_heatmap(self.units, self._map(observation, head)), part)
        found = self._of_one_head(head, part)
        if found is None:
            raise LookupError("not all weights were kept")
        return head_heatmap(self.units, self._map(found, (0, 0)))

    @property
    def exact(self) -> bool:
        """Whether any part of any map can be had at once."""
        maps = self.observation.maps
        return self.observation.whole is not None or maps.down == maps.across == 1

    def zoomed(self, found: Observation, head: Place) -> Heatmap:
        """The map of a head in what was observed of a part alone; its layer may be the only one."""
        layer = found.maps.layers.index(self.units.layers[head[0]])
        return head_heatmap(self.units, self._map(found, (layer, head[1])))

    def _map(self, found: Observation, head: Place) -> HeadMap:
        number = found.maps.layers[head[0]]
        units = replace(self.units, layers=found.layer_numbers)
        return head_maps(found, units, np.zeros((found.layers, found.heads)), Heads((number,), (head[1],)))[0]

    def _of_one_head(self, head: Place, part: Part) -> Observation | None:
        """What one head does in a part of the text; None where not all weights were kept."""
        record = self.observation.whole
        if record is None:
            return None
        request = self.observation.request
        one = pick_map(record, request.map)
        layer = one.layer_numbers.index(self.units.layers[head[0]])
        narrow = part_of(one, slice(layer, layer + 1), slice(head[1], head[1] + 1))
        return replay(narrow, replace(request, map=None, heads=Heads(), words=(), rank="weight", crop=Crop(*part)))

    def _row(self, head: Place, query: int) -> NDArray[np.floating]:
        """The weights of a unit to all others in one head (m,); the strongest alone where they were not kept."""
        maps, count = self.observation.maps, len(self.units.keys)
        layer = maps.layers.index(self.units.layers[head[0]])
        if maps.down == maps.across == 1:
            return np.asarray(maps.values[layer, head[1], query - maps.query])
        found = self._of_one_head(head, ((query, query + 1), (0, count)))
        if found is not None and found.maps.across == 1:
            return np.asarray(found.maps.values[0, 0, 0])
        row, links = np.zeros(count), self.observation.links
        keys, weights = links.keys[(*head, query)], links.weights[(*head, query)]
        row[keys[weights > 0]] = weights[weights > 0]
        return row

    def link(self, head: Place, query: int, key: int | None) -> Link:
        """The link from a unit to another, or to the one that it looks at most of those that count."""
        row = self.row(head, query)
        if key is None:
            key = self._strongest_key(query, row)
        lift = self._lift(head, query, key, float(row[key]))
        return Link(
            self.units.layers[head[0]], head[1], self.units.queries.names[query], self.units.keys.names[key], query,
            key, float(row[key]), lift,
        )  # fmt: skip

    def _lift(self, head: Place, query: int, key: int, weight: float) -> float | None:
        """How many times what is usual for the head a weight is; None where that is unknown, or there is no weight."""
        usual = self.observation.usual
        if usual is None or weight <= 0 or self.observation.request.rank != "lift":
            return None
        layer, number, unit, other = (np.array([each]) for each in (*head, query, key))
        weights = np.array([[[weight]]])
        found = lifts_of(usual, self._sizes, (layer, number), unit[:, None], other[:, None], weights).lift[0]
        return None if np.isnan(found) else float(found)

    def _strongest_key(self, query: int, row: NDArray[np.floating]) -> int:
        counted = np.where(self.summary.key_mask, row, -1)
        if self.units.one_text and not self.observation.itself:
            counted[query] = -1
        return int(counted.argmax() if counted.max() > 0 else row.argmax())

    def apart(self, head: Place, other: Place) -> tuple[Heatmap, float]:
        """The map of a ``head`` minus that of an ``other``, and how far their rows are apart (see ``compare``)."""
        first, second = (self.heat(each, None) for each in (other, head))
        values = second.values - first.values
        most = float(np.abs(values).max()) or 1.0
        rows = np.stack([self.row(each, query) for each in (other, head) for query in range(len(self.units.queries))])
        ours, theirs = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        return replace(second, values=values, low=-most, high=most, blank=False), float(divergence(ours, theirs).mean())

    def versus(self, other: Material, head: Place) -> Heatmap:
        """The map of a head in another text minus that in this one, of the words that correspond.

        Raises:
            UsageError: a text so long that its weights were not kept one by one.
        """
        sides = [
            named_map(each.observation, each.units, each._map(each.observation, head), "") for each in (self, other)
        ]
        aligned = Aligned((sides[0], sides[1]), "", head)
        values = aligned.difference
        if values is None:
            raise UsageError("no words of the two texts correspond", hint="Give texts that have some words in common.")
        most = float(np.abs(values).max()) or 1.0
        return Heatmap(values, *aligned.labels, -most, most, percent=self.units.measure.share)


def _numbered(overview: Heatmap) -> Heatmap:
    """The overview with numbers alone above its columns, which are narrow."""
    return replace(overview, columns=tuple(name.removeprefix("H") for name in overview.columns))


def _cropped(heat: Heatmap, part: Part) -> Heatmap:
    """The part of a map that is not pooled."""
    if heat.numbers is None:
        return heat
    rows, columns = (
        np.flatnonzero((numbers >= start) & (numbers < stop))
        for numbers, (start, stop) in zip(heat.numbers, part, strict=True)
    )
    values = heat.values[np.ix_(rows, columns)]
    return replace(
        heat, values=values, rows=tuple(heat.rows[i] for i in rows), columns=tuple(heat.columns[i] for i in columns),
        numbers=(heat.numbers[0][rows], heat.numbers[1][columns]), high=float(values.max(initial=0)) or 1.0,
    )  # fmt: skip
