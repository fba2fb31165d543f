"""What an observation shows of some heads of a layer, held to rows of transformers' weights as they come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences
from attnviz.analysis.check.units import ToUnits
from attnviz.analysis.text.units import Reading, reading_of
from attnviz.record import Observation, Top


def judge_top(differences: Differences, what: str, shown: tuple[Tensor, Tensor], key: int, counted: Tensor) -> None:
    """Hold the strongest links of some queries, weights and keys (h, n, k), to all that are ``counted`` (h, n, m).

    ``key`` is that of the first column. Weights must be those at the keys, the largest first, and none is left out.
    """
    weights, keys = shown
    m = counted.shape[2]
    columns = keys.long() - key
    there = (keys >= 0) & (columns >= 0) & (columns < m)
    columns = torch.where(there, columns, m)
    wide = torch.nn.functional.pad(counted, (0, 1))
    differences.links(what, weights, wide.gather(2, columns))
    differences.never(what, happens=(keys < 0) & (weights > 0))
    order = torch.where(keys >= 0, keys.long(), -1 - torch.arange(keys.shape[-1])).sort(-1).values
    differences.never(what, happens=order[..., 1:] == order[..., :-1])
    if m and weights.shape[-1]:
        differences.at_most(what, weights[..., 1:], weights[..., :-1])
        rest = wide.scatter(2, columns, 0.0)[..., :m].amax(-1)
        differences.at_most(what, rest, weights[..., -1])


class ShownLinks:
    """The links of ``heads`` of the layer at the place ``layer`` of an observation: of units, and of bands."""

    def __init__(
        self, observation: Observation, units: Reading, layer: int, heads: Sequence[int], differences: Differences
    ) -> None:
        self._survey, self._units, self._differences = observation, units, differences
        some = layer, list(heads)
        listed = observation.query_mask.copy()
        if observation.named_links is None:
            listed[list(observation.asked)] = True
        self._listed, self._looking = torch.from_numpy(listed), torch.from_numpy(observation.query_mask)
        self._looked_at = torch.from_numpy(observation.key_mask)
        self._links = _top(observation.links, some)
        self._edges = torch.tensor(observation.edges, dtype=torch.long)
        bands = observation.bands
        self._bands: tuple[Tensor, Tensor, Tensor] | None = None
        if bands.queries is not None and observation.edges:
            self._bands = *_top(bands, some), torch.from_numpy(np.asarray(bands.queries)[some]).long()
        self._found = 0

    def units(self) -> ToUnits:
        """What makes units of tokens."""
        return units_of(self._survey)

    def add(self, query: int, key: int, weights: Tensor) -> None:
        """See rows (h, n, m) in units."""
        h, n, m = weights.shape
        rows = slice(query, query + n)
        counted = torch.where(self._looked_at[key : key + m], weights, 0.0)
        if not self._survey.itself:
            counted.diagonal(query - key, 1, 2).zero_()
        shown = self._links[0][:, rows], self._links[1][:, rows]
        judge_top(self._differences, "links", shown, key, torch.where(self._listed[rows, None], counted, 0.0))
        if self._bands is not None and h:
            self._add_bands(query, key, torch.where(self._looking[rows, None], counted, 0.0), *self._bands)

    def _add_bands(self, query: int, key: int, counted: Tensor, weights: Tensor, keys: Tensor, queries: Tensor) -> None:
        """The shown links whose queries are here have these weights, and no others are stronger than the weakest."""
        h, n, m = counted.shape
        inside = (queries >= query) & (queries < query + n)
        place = (keys.long() - key).clamp(0, m - 1), (queries - query).clamp(0, n - 1)
        there = inside & (keys >= key) & (keys < key + m)
        right = counted[torch.arange(h)[:, None, None], place[1], place[0]]
        band = torch.bucketize((queries - keys.long()).abs(), self._edges, right=True) - 1
        right = torch.where(there & (band == torch.arange(len(self._edges))[:, None]), right, 0.0)
        self._differences.links("long-range links", torch.where(inside, weights, 0.0), torch.where(inside, right, 0.0))
        self._found += int((inside & (weights > 0)).sum())
        least = weights[..., -1]  # (h, bands)
        head, row, column = (counted > least.amin(-1)[:, None, None]).nonzero().unbind(-1)
        apart = (row + query - column - key).abs()
        own = torch.bucketize(apart, self._edges, right=True) - 1
        value = counted[head, row, column]
        above = (own >= 0) & (value > least[head, own.clamp(min=0)])
        head, row, column, own, value = (each[above] for each in (head, row, column, own, value))
        listed = (queries[head, own] == (row + query)[:, None]) & (keys[head, own] == (column + key)[:, None])
        other = ~listed.any(-1)
        self._differences.at_most("long-range links", value[other], least[head, own][other])

    def end(self) -> None:
        """All rows have been seen."""
        if self._bands is not None:
            self._differences.never("long-range links", happens=self._found != int((self._bands[0] > 0).sum()))


def units_of(observation: Observation) -> ToUnits:
    """What makes units of the tokens of an observation's texts."""
    units = reading_of(observation)
    texts = (observation.encoding, units.queries), (observation.key_encoding, units.keys)
    return ToUnits(*([*axis.starts.tolist(), len(text)] for text, axis in texts))


class ShownMap:
    """The cells of an observation's maps of some heads, and what each token's key receives, from all rows."""

    def __init__(
        self,
        observation: Observation,
        units: Reading,
        number: int,
        layer: int,
        heads: Sequence[int],
        differences: Differences,
    ) -> None:
        """``number`` is the model's own of the layer."""
        self._survey, self._differences, self._layer, self._heads = observation, differences, layer, list(heads)
        maps = observation.maps
        self._place = maps.layers.index(number) if number in maps.layers else None
        shape = len(self._heads), *maps.values.shape[2:]
        self._cells = torch.zeros(shape, dtype=torch.float64)
        self._rows, self._columns = (torch.from_numpy(mask) for mask in _in_maps(observation, units))
        self._received = torch.zeros(len(self._heads), len(observation.key_encoding), dtype=torch.float64)
        within = np.ones(len(observation.encoding), bool) if observation.within is None else observation.within
        self._looking = torch.from_numpy(within)

    def add_tokens(self, query: int, key: int, weights: Tensor) -> None:
        """See rows (h, n, m) in tokens."""
        n, m = weights.shape[1:]
        counted = self._looking[query : query + n, None].expand(n, m).double()
        passages = self._survey.passages if self._survey.keys is None else ()
        if passages:
            firsts = torch.tensor(passages)
            own, of = (torch.searchsorted(firsts, torch.arange(at, at + size), right=True) for at, size in
                       ((query, n), (key, m)))  # fmt: skip
            counted = counted * ((own[:, None] != of) | (own[:, None] == 0))
        self._received[:, key : key + m] += torch.einsum("hnm,nm->hm", weights.double(), counted)

    def add(self, query: int, key: int, weights: Tensor) -> None:
        """See rows in units."""
        if self._place is None:
            return
        maps = self._survey.maps
        n, m = weights.shape[1:]
        shown = torch.where(self._rows[query : query + n, None] & self._columns[key : key + m], weights, 0.0)
        top, left = max(query, maps.query), max(key, maps.key)
        part = shown[:, top - query : max(maps.query + maps.size[0] - query, 0),
                     left - key : max(maps.key + maps.size[1] - key, 0)]  # fmt: skip
        if not part.numel():
            return
        part, row = _largest(part.double(), 1, top - maps.query, maps.down)
        part, column = _largest(part, 2, left - maps.key, maps.across)
        cells = self._cells[:, row : row + part.shape[1], column : column + part.shape[2]]
        torch.maximum(cells, part, out=cells)

    def end(self) -> None:
        """All rows have been seen."""
        observation = self._survey
        if self._place is not None:
            shown = torch.from_numpy(np.asarray(observation.maps.values)[self._place][self._heads])
            self._differences.values("maps", shown, self._cells)
        received = torch.from_numpy(np.asarray(observation.received)[self._layer][self._heads])
        self._differences.values("received", received, self._received)


def _largest(values: Tensor, axis: int, start: int, step: int) -> tuple[Tensor, int]:
    """The largest of the values of each cell of ``step`` along an axis, which begins at ``start``; the first cell."""
    cells = (torch.arange(values.shape[axis]) + start) // step
    edges = (cells.diff() != 0).nonzero().flatten() + 1
    return torch.stack([part.amax(axis) for part in torch.tensor_split(values, edges, axis)], axis), int(cells[0])


def _in_maps(observation: Observation, units: Reading) -> tuple[np.ndarray, np.ndarray]:
    """Which units look and are looked at in the maps: where these are pooled, neither marks nor the sink."""
    passage = np.ones(len(units.queries), bool) if observation.looking is None else observation.looking
    if observation.special or observation.everything or observation.maps.down * observation.maps.across == 1:
        return passage, np.ones(len(units.keys), bool)
    rows, columns = (~(axis.special | axis.punctuation) for axis in (units.queries, units.keys))
    if observation.causal and units.one_text:
        columns[0] = False
    return rows & passage, columns


def _top(top: Top, some: tuple[int, list[int]]) -> tuple[Tensor, Tensor]:
    weights, keys = (torch.from_numpy(np.asarray(each)[some]) for each in (top.weights, top.keys))
    return weights, keys
