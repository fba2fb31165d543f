"""Sum rows of transformers' weights to units larger than words, independently of the observers, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences
from attnviz.analysis.text.units import reading_of
from attnviz.encoding import Window
from attnviz.record import KeySpan, Observation


class KeyUnits:
    """Sums the columns of rows of tokens to units, in a layer with this ``layer_window``."""

    def __init__(self, observation: Observation, starts: Sequence[int], layer_window: KeySpan) -> None:
        """``starts`` are the first tokens of the units that are looked at."""
        self._sinks, self._layer_window = not observation.window_sinks, layer_window
        self.count = len(starts)
        self._units = unit_of(starts, len(observation.key_encoding))

    def sum(self, window: Window | None, query: int, key: int, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The sums of rows (h, n, m) over units (h, n, U), and how many tokens of a unit each row sees (n, U)."""
        h, n, m = weights.shape
        rows, columns = torch.arange(query, query + n), torch.arange(key, key + m)
        to, wide = self._units[columns], torch.float64
        summed = torch.zeros(h, n, self.count, dtype=wide).index_add_(2, to, weights.double())
        visible = self._visible(window, rows, columns).double()
        return summed, torch.zeros(n, self.count, dtype=wide).index_add_(1, to, visible)

    def _visible(self, window: Window | None, rows: Tensor, columns: Tensor) -> Tensor:
        """Whether each row sees each column, (n, m)."""
        left, right = self._layer_window
        apart = columns - rows[:, None]
        visible = torch.ones(apart.shape, dtype=torch.bool)
        if left is not None:
            visible &= apart >= -left
        if right is not None:
            visible &= apart <= right
        if window is not None:
            visible &= (columns >= window.start + int(not self._sinks)) & (columns < window.stop)
        return visible


def unit_of(starts: Sequence[int], size: int) -> Tensor:
    """The number of the unit of each of ``size`` tokens."""
    return torch.bucketize(torch.arange(size), torch.as_tensor(starts), right=True) - 1


class UnitRows:
    """Sums rows of tokens to rows of units, in ``heads`` heads of a layer with this ``layer_window``."""

    def __init__(self, observation: Observation, heads: int, layer_window: KeySpan) -> None:
        self._observation = observation
        units, n = reading_of(observation), len(observation.encoding)
        self._keys = KeyUnits(observation, units.keys.starts.tolist(), layer_window)
        self._units = unit_of(units.queries.starts.tolist(), n)
        self._looking = torch.ones(n, dtype=torch.bool)
        if observation.within is not None:
            self._looking = torch.from_numpy(observation.within)
        self._shown_as = torch.arange(n) + int(observation.request.generated)
        shape, wide = (len(units.queries), len(units.keys)), torch.float64
        self._sums, self._pairs = torch.zeros(heads, *shape, dtype=wide), torch.zeros(shape, dtype=wide)
        self._rows = torch.zeros(shape[0], dtype=wide)
        self._others, self._counts = torch.zeros(heads, shape[1], dtype=wide), torch.zeros(shape[1], dtype=wide)

    def add(self, window: Window | None, query: int, key: int, weights: Tensor) -> None:
        """See rows (h, n, m) of tokens."""
        rows = torch.arange(query, query + weights.shape[1])
        summed, seen = self._keys.sum(window, query, key, weights)
        elsewhere = torch.ones(seen.shape, dtype=torch.bool)
        if self._observation.keys is None:
            elsewhere = self._units[rows, None] != torch.arange(seen.shape[1])
        self._others += (summed * elsewhere).sum(1)
        counted = seen if self._observation.request.per_token else (seen > 0).double()
        self._counts += (counted * elsewhere).sum(0)
        looking = self._looking[rows]
        units = self._units[self._shown_as[rows[looking]]]
        self._sums.index_add_(1, units, summed[:, looking])
        self._pairs.index_add_(0, units, seen[looking])
        self._rows.index_add_(0, units, torch.ones(len(units), dtype=torch.float64))

    @property
    def weights(self) -> Tensor:
        """The weights between the units, (h, n, m)."""
        by = self._pairs if self._observation.request.per_token else self._rows[:, None].expand_as(self._pairs)
        return self._sums / by.clamp(min=1)

    def judge_others(self, differences: Differences, layer: int, heads: list[int]) -> None:
        """Compare what units receive from queries outside of them; ``layer`` is the layer's index."""
        others = self._observation.others
        if others is None:
            return
        counts = self._counts.clamp(min=1)
        differences.never("baselines", happens=torch.from_numpy(others.counts[layer]) != self._counts)
        right = torch.where(self._counts > 0, self._others / counts, 0.0)
        differences.values("baselines", torch.from_numpy(others.weights[layer][heads]) / counts, right)
