"""Add up the figures of a document from its windows; a document that is read at once is one window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.figures import EDGES, Figures, profile, sinks, totals
from attnviz.attention.sums import Sums
from attnviz.attention.texts import Bools, Texts, earlier_tokens
from attnviz.attention.tile import require_equal_heads
from attnviz.encoding import Window

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DocumentMasks:
    """The masks of ``Texts`` for a whole document; ``tail`` marks the special tokens behind the text (N,)."""

    counting: Bools
    telling: Bools
    sets: Mapping[str, Bools]
    causal: bool
    tail: Bools | None = None
    passages: tuple[int, ...] = ()
    repeats: bool = False

    def texts(self, window: Window) -> Texts:
        """The ``Texts`` of one window, of which only the queries count that are kept."""
        kept, positions = window.kept, window.positions
        # The number of each token's passage; 0 for tokens in front of the first passage, such as special tokens.
        numbers = np.searchsorted(self.passages, positions, side="right")
        begin = np.diff(numbers, prepend=0) != 0
        return Texts.one(
            len(kept),
            counting=kept & self.counting[positions],
            telling=kept & self.telling[positions],
            stop=None if self.tail is None else len(kept) - int(self.tail[positions].sum()),
            sets={name: keys[positions] for name, keys in self.sets.items()},
            before=np.array(earlier_tokens(window.encoding.ids)) if self.repeats else None,
            causal=self.causal,
            passages=tuple(np.flatnonzero(begin & (numbers > 0)).tolist()),
        )


class Total:
    """The sums over all windows; ``widest`` is the number of tokens of the longest one."""

    def __init__(self, widest: int) -> None:
        self._widest = widest
        self._means: dict[str, tuple[Doubles, Doubles]] = {}
        self._there: set[str] = set()
        """The sets that have keys in some window; the others have no share."""
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._sinks: list[tuple[int, Doubles, NDArray[np.intp]]] = []
        self._profile: Doubles = np.zeros(len(EDGES) + 1)
        self._received = _MostReceived()

    def add(self, window: Window, layers: Mapping[int, tuple[Sums, Texts]]) -> None:
        """Add a window; windows are added in the order of the text."""
        found = [layers[number] for number in sorted(layers)]
        require_equal_heads(len(sums.scalars) for sums, _ in found)
        texts = found[0][1]
        counted = int(texts.counting.sum())
        means = [totals(*layer) for layer in found]
        for name, (_, count) in means[0].items():
            total = np.stack([layer[name][0][:, 0] for layer in means])
            # Of a set of which this window has no keys, the queries count all the same.
            every = np.asarray(counted if name in texts.sets else count[0], np.float64)
            self._there |= {name} if count[0] or name not in texts.sets else set()
            before = self._means.get(name, (np.zeros(()), np.zeros(())))
            self._means[name] = before[0] + total, np.asarray(before[1] + every)
        self._count_offsets(found, texts)
        sink, key = (np.stack(each)[..., 0] for each in zip(*(sinks(*layer) for layer in found), strict=True))
        self._sinks.append((counted, sink, window.positions[key.astype(np.intp)]))
        if found[0][0].firsts.shape[1]:
            self._profile = self._profile + counted * np.stack([profile(*layer) for layer in found])
        self._received.add(np.stack([sums.received for sums, _ in found]), window)

    def _count_offsets(self, layers: list[tuple[Sums, Texts]], texts: Texts) -> None:
        counts = np.stack([sums.counts for sums, _ in layers])
        if not self._counts.size:
            self._counts = np.zeros((*counts.shape[:2], 2 * self._widest), np.int64)
        start = self._widest - 1 - int(texts.zeros[0])
        self._counts[..., start : start + counts.shape[-1]] += counts

    def figures(self) -> Figures:
        """All figures by name, (L, H) each, NaN where the document has none."""
        found = {
            name: total / np.where((count > 0) & (name in self._there), count, np.nan)
            for name, (total, count) in self._means.items()
        }
        found["received"], found["received_position"] = self._received.found()
        found["sink"], found["sink_position"] = self._sink()
        told = self._counts.sum(-1)
        found["offset_share"] = self._counts.max(-1) / np.where(told, told, np.nan)
        found["offset"] = np.where(told, self._counts.argmax(-1) - self._widest + 1, np.nan)
        return found

    @property
    def profile(self) -> Doubles:
        """The shares of attention by distance, (L, H, 1 + EDGES), if the weights of the first keys were kept."""
        return self._profile / max(1, sum(count for count, _, _ in self._sinks))

    def _sink(self) -> tuple[Doubles, Doubles]:
        """The mean sink over the windows, and the key that is the sink of most queries; of equal ones the first."""
        queries, values, keys = (np.array(each) for each in zip(*self._sinks, strict=True))  # (windows, L, H)
        place = np.zeros(values.shape[1:])
        for head in np.ndindex(place.shape):
            some, numbers = np.unique(keys[:, *head], return_inverse=True)
            place[head] = some[np.bincount(numbers, queries).argmax()]
        return np.average(values, axis=0, weights=queries), place


class _MostReceived:
    """Finds the key of a document that receives most; it forgets keys that no later window contains."""

    def __init__(self) -> None:
        self._start = 0
        self._text: Doubles = np.zeros((1, 1, 0))  # (L, H, n): what the text tokens from ``start`` on received so far
        self._most: Doubles = np.full((1, 1), -1.0)
        self._key: NDArray[np.intp] = np.zeros((1, 1), np.intp)
        self._special: dict[int, Doubles] = {}
        """What the special tokens around the windows received, by position."""

    def add(self, received: Doubles, window: Window) -> None:
        """Add what the tokens of a ``window`` receive, (L, H, T)."""
        text = slice(window.lead, window.lead + window.stop - window.start)
        self._pass(window.start)
        more = received[..., text].copy()
        more[..., : self._text.shape[-1]] += self._text
        self._text = more
        for place in np.flatnonzero((window.positions < window.start) | (window.positions >= window.stop)):
            key = int(window.positions[place])
            self._special[key] = self._special.get(key, 0) + received[..., place]

    def _pass(self, start: int) -> None:
        """Take the largest of the text tokens before ``start``, which no later window contains."""
        done, self._text = np.split(self._text, [start - self._start], axis=-1)
        if done.shape[-1]:
            most, key = done.max(-1), done.argmax(-1) + self._start
            better = most > self._most
            self._most, self._key = np.where(better, most, self._most), np.where(better, key, self._key)
        self._start = start

    def found(self) -> tuple[Doubles, Doubles]:
        """The most that one key receives, and its position, (L, H) each; of equal keys the first."""
        self._pass(self._start + self._text.shape[-1])
        given = np.stack([self._most, *self._special.values()])
        positions = np.stack([self._key, *(np.full_like(self._key, place) for place in self._special)])
        most = given.max(0)
        return most, np.where(given == most, positions, np.inf).min(0)
