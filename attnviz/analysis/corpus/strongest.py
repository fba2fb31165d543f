"""Find the strongest links of a document of any length; only candidates are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.metrics import WordLinks
from attnviz.analysis.text.offsets import MIN_QUERIES, POSITIONAL, dominant_share
from attnviz.analysis.text.units import Mask
from attnviz.attention.observers.reading import Units
from attnviz.attention.observers.selection import LayerFindings, LinkSelection
from attnviz.attention.tile import Task
from attnviz.encoding import Word
from attnviz.record import Request

Ints = NDArray[np.int64]

_ROOM = 1 << 14
"""The number of links of a layer from which on those are dropped that can't be among the strongest."""


class Strongest(Units):
    """Finds the ``top`` links between words in each layer; weights of words that do not count are taken as zero.

    Which heads look at an offset, and at which, is known at the end only. So a link of a head is kept as long as it
    can be among the strongest whatever its head's offset is: unless ``top`` stronger ones stay with every offset
    without which it stays too. Memory: some times ``top`` links a head, and where words stand at many offsets from
    each other so many of each offset; nothing grows with the number of words.

    Args:
        words: those of the document.
        request: how many of each layer are wanted, and whether any are left out because of their offset.
        text: how many tokens of the document are not special.
        query_mask: the words that look; ``key_mask`` those that are looked at, ``itself`` also a word by itself.
        keys: the words that are looked at, where they are of another text: none is left out because of its offset then.
    """

    keeps_links = False

    def __init__(
        self,
        words: Sequence[Word],
        request: Request,
        text: int,
        query_mask: Mask,
        key_mask: Mask,
        *,
        itself: bool,
        keys: Sequence[Word] | None = None,
    ) -> None:
        self._words = np.array([(word.start, word.stop) for word in words], np.int64).reshape(-1, 2)
        self._keys = len(words) if keys is None else len(keys)
        begins = self._words[:, 0] if keys is None else np.array([word.start for word in keys], np.int64)
        self._top = request.links
        self._apart = not request.everything and keys is None and text >= MIN_QUERIES
        self._dominant = dominant_share(text)
        # One more than wanted, since one link of each query may be at its head's dominant offset.
        links = LinkSelection(self._top + self._apart, query_mask, key_mask, itself=itself)
        super().__init__(self._words[:, 0], begins, links=links, many=True)
        self._found: dict[int, _Layer] = {}
        self._adding = Lock()

    def _layer(self, task: Task) -> _Layer:
        with self._adding:
            return self._found.setdefault(task.layer, _Layer(np.zeros(task.shape[0]), _ROOM))

    def floor(self, task: Task) -> NDArray[np.float32]:
        """The weight below which a head's links can't be among the strongest any more."""
        least = self._layer(task).least[task.head : task.head + task.heads]
        return np.nextafter(least.astype(np.float32), np.float32(0))

    def merge(self, task: Task, first: int, part: LayerFindings) -> None:
        """Keep the links of a task that may be among the strongest; windows may come in any order, and at once."""
        head, query, place = np.nonzero(part.weights)
        layer, weights = self._layer(task), part.weights[head, query, place].astype(np.float64)
        if len(weights):
            some = _Some(head + task.head, query + first, part.keys[head, query, place].astype(np.int64), weights)
            with self._adding:
                layer.add(some)
                if layer.size > layer.room:
                    self._sift(layer)

    def _sift(self, layer: _Layer) -> None:
        """Drop links that can't be among the strongest of their head any more."""
        some = layer.joined()
        low, high = self._offsets(some) if self._apart else np.zeros((2, len(some)), np.int64)
        kept = []
        for head in range(len(layer.least)):
            of_head = np.flatnonzero(some.head == head)
            ranked = of_head[np.lexsort((some.key[of_head], some.query[of_head], -some.weight[of_head]))]
            ranked = ranked[_rank(low[ranked], high[ranked]) < self._top]
            enough = self._enough(low[ranked], high[ranked])
            if enough:
                layer.least[head] = some.weight[ranked[enough - 1]]
                ranked = ranked[some.weight[ranked] >= layer.least[head]]
            kept.append(ranked)
        layer.parts = [some.take(np.concatenate(kept))]
        layer.size = len(layer.parts[0])
        layer.room = max(_ROOM, 2 * layer.size)

    def _enough(self, low: Ints, high: Ints) -> int:
        """How many of a head's strongest links suffice for ``top`` whatever offset is left out; 0 if all do not."""
        count = self._top
        while count <= len(low):
            # The most links that share an offset: the largest number of ranges that overlap.
            begins, ends = np.sort(low[:count]), np.sort(high[:count])
            together = np.arange(1, count + 1) - np.searchsorted(ends, begins)
            if not self._apart or count - together.max() >= self._top:
                return count
            count *= 2
        return 0

    def _offsets(self, some: _Some) -> tuple[Ints, Ints]:
        """The first and last offset that a head may have so that each link is at it; as in ``dominant_offsets``."""
        (start, stop), (first, last) = self._words[some.query].T, self._words[some.key].T
        ahead = some.key > some.query
        return np.where(ahead, first - stop + 1, first - start), np.where(ahead, last - stop, last - 1 - start)

    def links_of(self, offset: NDArray[np.float64], share: NDArray[np.float64]) -> WordLinks:
        """The strongest links of each layer; ``offset`` and ``share`` (L, H) are those of the heads."""
        found = [self._ranked(self._found[number], offset[i], share[i]) for i, number in enumerate(sorted(self._found))]
        layers = np.repeat(np.arange(len(found)), [len(some) for some in found])
        every = _joined(found)
        return WordLinks(
            layers.astype(np.int16),
            every.head.astype(np.int16),
            every.query.astype(np.int32),
            every.key.astype(np.int32),
            every.weight.astype(np.float32),
        )

    def _ranked(self, layer: _Layer, offset: NDArray[np.float64], share: NDArray[np.float64]) -> _Some:
        """The strongest links of one layer, each pair in its best head; of equal ones the first pair and head."""
        some = layer.joined()
        if self._apart:
            some = some.take(np.flatnonzero(~(share >= POSITIONAL)[some.head]))
            low, high = self._offsets(some)
            at = offset[some.head]
            some = some.take(np.flatnonzero(~((share >= self._dominant)[some.head] & (low <= at) & (at <= high))))
        order = np.lexsort((some.head, some.key, some.query, -some.weight))
        pairs = some.query[order] * self._keys + some.key[order]
        first = np.sort(np.unique(pairs, return_index=True)[1])
        return some.take(order[first[: self._top]])


@dataclass(frozen=True, eq=False)
class _Some:
    """Links of one layer between words, one entry each."""

    head: Ints
    query: Ints
    key: Ints
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weight)

    def take(self, places: Ints) -> _Some:
        return _Some(self.head[places], self.query[places], self.key[places], self.weight[places])


@dataclass(eq=False)
class _Layer:
    """What is kept of a layer, for each head below which weight nothing is, and how much there is room for."""

    least: NDArray[np.float64]
    room: int
    parts: list[_Some] = field(default_factory=list)
    size: int = 0

    def add(self, some: _Some) -> None:
        self.parts.append(some)
        self.size += len(some)

    def joined(self) -> _Some:
        return _joined(self.parts)


def _joined(parts: Sequence[_Some]) -> _Some:
    if not parts:
        nothing = np.zeros(0, np.int64)
        return _Some(nothing, nothing, nothing, np.zeros(0))
    columns = ((part.head, part.query, part.key, part.weight) for part in parts)
    return _Some(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _rank(low: Ints, high: Ints) -> Ints:
    """How many entries of the same ``low`` and ``high`` stand before each."""
    order = np.lexsort((high, low))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    place = np.arange(len(order))
    rank = np.empty(len(order), np.int64)
    rank[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    return rank
