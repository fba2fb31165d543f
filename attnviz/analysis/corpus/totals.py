"""The figures of a document, added up from those of its windows; a document that is read whole is one window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.metrics import NAMES
from attnviz.analysis.text.metrics import sink_of
from attnviz.analysis.text.units import Mask
from attnviz.attention.kernel import Observer, Tile
from attnviz.attention.observers import Confidence, DuplicateTokens, SpanSums
from attnviz.attention.observers.span import FIGURES
from attnviz.attention.tile import require_equal_heads
from attnviz.attention.window import KeyWindow
from attnviz.encoding import Window

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]


class Part:
    """The observers of one ``window``, over the queries that are kept of it; ``sets`` are of the document (N,)."""

    def __init__(self, window: Window, sets: Mapping[str, Mask]) -> None:
        self.window, self.kept = window, window.kept
        self.sets = {name: keys[window.places] for name, keys in sets.items()}
        counting = None if self.kept.all() else self.kept
        # The queries that are kept of a window stand together.
        first, last = np.flatnonzero(self.kept)[[0, -1]].tolist()
        self.telling = ~self.sets["special"][first : last + 1]
        self.sums = SpanSums(first, last + 1)
        self.duplicates = DuplicateTokens(window.encoding.ids, counting)
        self.confidence = Confidence(len(self.kept) - int(self.sets["sep"].sum()), counting)
        self.observers: list[Observer] = [self.sums, self.duplicates, self.confidence]


class LayerWindows(Observer):
    """Keeps how far the queries of each layer see."""

    def __init__(self) -> None:
        self.found: dict[int, KeyWindow] = {}

    def tile(self, tile: Tile) -> None:
        """See the layer of the tile."""
        self.found[tile.layer] = tile.window


@dataclass(eq=False)
class _Mean:
    """A sum of all windows, and of how many queries it is one: arrays that go together."""

    total: Floats | float = 0.0
    count: Floats | float = 0.0

    def add(self, total: Floats, count: Floats | int) -> None:
        self.total, self.count = self.total + total, self.count + count

    @property
    def value(self) -> Floats:
        """The mean, NaN of no queries."""
        counted = np.where(self.count == 0, np.nan, self.count)
        return np.asarray(self.total / counted, np.float64)


class Total:
    """What all windows have together; ``widest`` is the number of tokens of the longest."""

    def __init__(self, widest: int, *, causal: bool) -> None:
        self._widest, self._causal = widest, causal
        self._sums, self._duplicates, self._confidence = _Mean(), _Mean(), _Mean()
        self._shares: dict[str, _Mean] = {}
        self._there = {"first"}
        """The sets of which some window has keys: a share of no keys is no figure."""
        self._offsets: NDArray[np.int32] = np.zeros(0, np.int32)
        self._received = _MostReceived()
        self._sinks: list[tuple[int, Floats, NDArray[np.signedinteger]]] = []

    def add(self, part: Part) -> None:
        """Add a window that was run; windows come in the order of the text."""
        seen, layers = part.sums, part.sums.layers()
        received = _stacked(map(seen.received, layers))
        self._sums.add(_stacked(map(seen.sums, layers)), np.array(seen.counts(len(part.kept)), np.float64))
        self._share(part, received)
        self._duplicates.add(_of(part.duplicates), part.duplicates.count)
        self._confidence.add(_of(part.confidence), part.confidence.count)
        self._count_offsets([seen.offsets(number)[:, part.telling] for number in layers])
        self._received.add(received, part.window)
        places = np.flatnonzero(part.kept)
        sink, key = sink_of(received, places, causal=self._causal)
        self._sinks.append((len(places), sink, part.window.places[key]))

    def _share(self, part: Part, received: Floats) -> None:
        """Add what the first key and each set of keys receive."""
        given = {"first": received[..., 0]} | {name: received[..., keys].sum(-1) for name, keys in part.sets.items()}
        for name, share in given.items():
            self._shares.setdefault(name, _Mean()).add(share, len(part.telling))
        self._there |= {name for name, keys in part.sets.items() if keys.any()}

    def _count_offsets(self, offsets: Sequence[Tensor]) -> None:
        """Count each offset of each head; ``offsets`` (H, n) are those of each layer."""
        heads, width = len(offsets[0]), 2 * self._widest + 1
        if not self._offsets.size:
            self._offsets = np.zeros((len(offsets), heads, width), np.int32)
        start = np.arange(heads)[:, None] * width + self._widest
        for counts, layer in zip(self._offsets, offsets, strict=True):
            found = np.bincount((layer.numpy() + start).ravel(), minlength=heads * width)
            counts += found.reshape(heads, width).astype(np.int32)

    def figures(self) -> Floats:
        """All figures (L, H, METRICS), NaN where the document has none."""
        means = self._sums.value
        found = {name: means[..., i] for i, name in enumerate(FIGURES)}
        found |= {name: self._shares[name].value for name in self._there}
        found["confidence"], found["duplicate"] = self._confidence.value, self._duplicates.value
        found["received"], found["received_position"] = self._received.found()
        found["sink"], found["sink_position"] = self._sink()
        counts = self._offsets.sum(-1)
        found["offset_share"] = self._offsets.max(-1) / np.where(counts, counts, np.nan)
        found["offset"] = np.where(counts, self._offsets.argmax(-1) - self._widest, np.nan)
        nothing = np.full(means.shape[:2], np.nan)
        return np.stack([found.get(name, nothing) for name in NAMES], axis=-1)

    def _sink(self) -> tuple[Floats, Floats]:
        """The mean over the windows, and the key that is the sink of most queries, the first of equal ones."""
        queries, sinks, keys = (np.array(each) for each in zip(*self._sinks, strict=True))  # (windows, L, H)
        place = np.zeros(sinks.shape[1:])
        for head in np.ndindex(place.shape):
            values, numbers = np.unique(keys[:, *head], return_inverse=True)
            place[head] = values[np.bincount(numbers, queries).argmax()]
        return np.average(sinks, axis=0, weights=queries), place


class _MostReceived:
    """Which key of a document receives most; what keys receive is kept only of those that may receive more."""

    def __init__(self) -> None:
        self._start = 0
        self._text: Floats = np.zeros((1, 1, 0))  # (L, H, n): what the text tokens from ``start`` on have so far
        self._most: Floats = np.full((1, 1), -1.0)
        self._key: NDArray[np.intp] = np.zeros((1, 1), np.intp)
        self._special: dict[int, Floats] = {}
        """What the special tokens around all windows have, by their places."""

    def add(self, received: Floats, window: Window) -> None:
        """Add what the tokens of the ``window`` receive, (L, H, T)."""
        text = slice(window.lead, window.lead + window.stop - window.start)
        self._pass(window.start)
        more = received[..., text].copy()
        more[..., : self._text.shape[-1]] += self._text
        self._text = more
        for place in np.flatnonzero((window.places < window.start) | (window.places >= window.stop)):
            key = int(window.places[place])
            self._special[key] = self._special.get(key, 0) + received[..., place]

    def _pass(self, start: int) -> None:
        """See the text tokens before ``start``, which no later window has."""
        done, self._text = np.split(self._text, [start - self._start], axis=-1)
        if done.shape[-1]:
            most, key = done.max(-1), done.argmax(-1) + self._start
            better = most > self._most
            self._most, self._key = np.where(better, most, self._most), np.where(better, key, self._key)
        self._start = start

    def found(self) -> tuple[Floats, Floats]:
        """The most that one key receives, and its place, the first of equal ones, (L, H) each."""
        self._pass(self._start + self._text.shape[-1])
        given = np.stack([self._most, *self._special.values()])
        places = np.stack([self._key, *(np.full_like(self._key, place) for place in self._special)])
        most = given.max(0)
        return most, np.where(given == most, places, np.inf).min(0)


def _of(observer: Confidence | DuplicateTokens) -> Floats:
    """What ``observer`` has of each head, (L, H)."""
    return _stacked(map(observer.layer, observer.layers()))


def _stacked(layers: Iterable[Tensor]) -> Floats:
    """The ``layers`` (H, …) one above the other."""
    arrays = [layer.cpu().numpy().astype(np.float64) for layer in layers]
    require_equal_heads(map(len, arrays))
    return np.stack(arrays)
