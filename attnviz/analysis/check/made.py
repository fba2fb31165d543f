"""Check averages over all heads, and the rows of generated tokens and of the words that were asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences
from attnviz.analysis.check.large import KeyUnits
from attnviz.analysis.check.shown import judge_top
from attnviz.analysis.check.units import Block
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.units import Mask, Reading, makers_of, reading_of
from attnviz.encoding import Window
from attnviz.record import Array, Observation, Top


class Made:
    """Collects the averages over all heads, and the rows of generated tokens and of the words that were asked for."""

    def __init__(self, observation: Observation, differences: Differences) -> None:
        self._observation, self._differences = observation, differences
        self._asked: dict[int, Tensor] = defaultdict(
            lambda: torch.zeros(len(observation.key_mask), dtype=torch.float64)
        )
        self._tables = [
            *([_new_tokens(observation)] if observation.made else []),
            *([_named(observation)] if observation.named_links else []),
        ]

    def add(self, place: int, block: Block) -> None:
        """See rows of units in all heads of the layer with the index ``place``."""
        del place
        query, key, weights = block
        for i in range(weights.shape[1]):
            if query + i in self._observation.asked:
                self._asked[query + i][key : key + weights.shape[2]] += weights[:, i].sum(0, dtype=torch.float64)

    def add_tokens(self, place: int, window: Window | None, block: Block) -> None:
        """See rows of tokens in all heads of the layer with the index ``place``."""
        for table in self._tables:
            table.add(self._differences, self._observation, place, window, block)

    def end(self) -> None:
        """Compare the averages, when all layers were seen."""
        observation, count = self._observation, self._observation.layers * self._observation.heads
        averages = [(found, table.averages[row]) for table in self._tables for row, found in table.found.items()]
        if observation.average is not None and observation.named_links is None:
            averages += [(found, observation.average[observation.asked.index(i)]) for i, found in self._asked.items()]
        for total, shown in averages:
            self._differences.values("averages", torch.from_numpy(np.asarray(shown)), total / count)


@dataclass(frozen=True, eq=False)
class _Table:
    """Rows that are the means over ``spans`` of queries: their ``top`` keys in each head, and ``averages`` over all."""

    what: str
    spans: Sequence[tuple[int, int]]
    top: Top
    averages: Array
    starts: Sequence[int]
    key_mask: Tensor
    per_token: bool
    found: dict[int, Tensor] = field(default_factory=dict)

    def add(
        self, differences: Differences, observation: Observation, place: int, window: Window | None, block: Block
    ) -> None:
        """Compare the rows whose queries all are in a block of rows of tokens."""
        query, key, weights = block
        number = observation.layer_numbers[place]
        keys = KeyUnits(observation, self.starts, observation.layer_windows[number])
        for row, (start, stop) in enumerate(self.spans):
            if not query <= start < stop <= query + weights.shape[1]:
                continue
            summed, seen = keys.sum(window, start, key, weights[:, start - query : stop - query])
            count = seen.sum(0).clamp(min=1) if self.per_token else torch.tensor(stop - start)
            unit = summed.sum(1) / count  # (H, U)
            self.found[row] = self.found.get(row, torch.zeros(keys.count, dtype=torch.float64)) + unit.sum(0)
            weight, at = (torch.from_numpy(np.asarray(each)[place, :, row : row + 1]) for each in
                          (self.top.weights, self.top.keys))  # fmt: skip
            judge_top(differences, self.what, (weight, at), 0, torch.where(self.key_mask, unit, 0.0)[:, None])


def _new_tokens(observation: Observation) -> _Table:
    """The table of the queries that predicted the generated tokens; their keys are tokens, or larger units."""
    units = reading_of(observation, None if observation.large else "token")
    _, keys, _ = counting(
        units,
        causal=observation.causal,
        special=observation.special,
        function=True,
        everything=observation.everything,
    )
    spans = [(query, query + 1) for query in makers_of(observation.encoding)]
    return _table(observation, "new tokens", spans, observation.made, observation.made_average, units, keys)


def _named(observation: Observation) -> _Table:
    """The table of the words that were asked for, whose keys are larger units."""
    words = [observation.encoding.words[i] for i in observation.asked]
    spans, units = [(word.start, word.stop) for word in words], reading_of(observation)
    links, average = observation.named_links, observation.average
    return _table(observation, "links", spans, links, average, units, observation.key_mask)


def _table(
    observation: Observation,
    what: str,
    spans: Sequence[tuple[int, int]],
    top: Top | None,
    averages: Array | None,
    units: Reading,
    keys: Mask,
) -> _Table:
    if top is None or averages is None:
        raise ValueError(f"nothing was kept of the {what}")
    per_token = observation.large and observation.request.per_token
    return _Table(what, spans, top, averages, units.keys.starts.tolist(), torch.from_numpy(keys), per_token)
