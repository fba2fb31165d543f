"""The baseline of what a unit gets: the mean over all other queries of the text that see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from attnviz.analysis.text.links import Attended
from attnviz.analysis.text.per_token import Numbers, Seen
from attnviz.attention.tile import Observer, Task, Tile
from attnviz.attention.window import KeyWindow
from attnviz.record import Array, KeySpan, Observation, Others


class LayerWindows(Observer):
    """Keeps how many keys before and after it a query of each layer sees."""

    def __init__(self) -> None:
        self.found: dict[int, KeySpan] = {}

    def tile(self, tile: Tile) -> None:
        """Note the window of the tile's layer."""
        self.found[tile.layer] = tile.window.left, tile.window.right

    def parts(self, task: Task) -> Iterable[Observer]:
        """Nobody: the task says it."""
        self.found[task.layer] = task.window.left, task.window.right
        return ()


def sum_others(
    received: Array, seen: Seen, windows: Sequence[KeySpan], queries: int, *, per_token: bool, one_text: bool
) -> Others:
    """What each unit gets from the ``queries`` outside of it, and from how many.

    Args:
        received: of each token of the keys, without what its own unit gives to it, (L, H, M).
        seen: what the queries see of the units.
        windows: those of the layers.
        queries: how many there are.
        per_token: how many tokens these see is counted, not how many they are.
        one_text: the text looks at itself.
    """
    weights = np.add.reduceat(received.astype(np.float64), seen.starts, axis=-1)  # (L, H, M) → (L, H, m)
    counts = {
        window: seen.total(np.arange(queries), KeyWindow(*window), per_token=per_token, elsewhere=one_text)
        for window in set(windows)
    }
    found = np.stack([counts[window] for window in windows])
    return Others(np.where(found[:, None] > 0, weights, 0), found)


class Baselines:
    """The baselines of the rows of an ``observation`` in units larger than words."""

    def __init__(self, observation: Observation, others: Others, starts: Numbers) -> None:
        """``starts`` are the first tokens of the units that are looked at."""
        self._others, self._per_token = others, observation.request.per_token
        self._one_text, self._numbers = observation.keys is None, observation.layer_numbers
        self._windows = [observation.layer_windows[number] for number in self._numbers]
        _, _, queries, keys = observation.shape
        self._seen = Seen(queries, keys, starts, observation.windows, window_sinks=observation.window_sinks)

    def beside(self, row: Attended, queries: Numbers) -> Attended:
        """``row``, which is of ``queries``, with what each of its keys gets from the others on average.

        None where no other query sees the key, or where some queries of the row stand in it, and others do not.
        """
        own, every = (
            {
                window: self._seen.total(
                    queries, KeyWindow(*window), per_token=self._per_token, elsewhere=elsewhere and self._one_text
                )
                for window in set(self._windows)
            }
            for elsewhere in (True, False)
        )

        def mean(layers: Sequence[int], heads: slice, key: int, weight: float) -> float | None:
            """The baseline of a key in some heads of layers that all see as much of it."""
            counts = {(own[self._windows[layer]][key], every[self._windows[layer]][key]) for layer in layers}
            others = {self._others.counts[layer, key] for layer in layers}
            (outside, seen), *more = counts
            left = others.pop() - outside
            if more or others or left <= 0 or 0 < outside < seen:
                return None
            taken = weight * (seen if self._per_token else len(queries)) if outside else 0.0
            return max(0.0, (float(self._others.weights[layers, heads, key].mean()) - taken) / float(left))

        best = tuple(
            mean([self._numbers.index(link.layer)], slice(link.head, link.head + 1), link.key_index, link.weight)
            for link in row.best
        )
        average = tuple(mean(range(len(self._windows)), slice(None), key, weight) for key, weight in row.average)
        return replace(row, best_baselines=best, average_baselines=average)
