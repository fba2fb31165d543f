"""A heatmap before it is drawn: values, labels and scale, pooled if it does not fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.long_range import Profile
from attnviz.analysis.text.shown_maps import HeadMap
from attnviz.analysis.text.summary import Summary
from attnviz.analysis.text.units import Reading
from attnviz.record import Measure

Values = NDArray[np.floating]
Numbers = NDArray[np.intp]
_SHORTENED = 1_000
"""The largest end of a band of distances that is written in full."""

PICTURE_CELLS = 1000
"""The most cells across and down that are kept of a long text's maps for a picture."""


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Values (rows, columns) with labels and a scale.

    Args:
        values: the values; NaN for none.
        rows: the row labels.
        columns: the column labels.
        low: the low end of the scale.
        high: the high end of the scale.
        percent: whether the values are shares, written in percent.
        exponent: small values are written in percent, or in ones, · 10 ** −exponent.
        blank: whether values that round to nothing are left out, as those in percent are.
        named: whether row labels are numbers and words, and column labels numbers alone.
        numbers: the numbers of the units at which rows and columns begin; None if they are not units of a text.
        down: in a pooled map, how many rows each value joins; it is their largest.
        across: how many columns each value joins.
        size: how many rows and columns there were before pooling.
        how: more about the pooling, in words.
    """

    values: Values
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    low: float
    high: float
    percent: bool = True
    exponent: int = 0
    blank: bool = False
    named: bool = False
    numbers: tuple[Numbers, Numbers] | None = None
    down: int = 1
    across: int = 1
    size: tuple[int, int] | None = None
    how: str = ""

    @property
    def unit(self) -> str:
        """The unit in which values are written: ``%`` or ``0.01 %``; without the sign for values that are no shares."""
        unit = f"{10.0**-self.exponent:.{self.exponent}f}" if self.exponent else ""
        return " ".join(filter(None, (unit, "%" * self.percent)))

    @property
    def pooled(self) -> str:
        """How cells were pooled, in words; empty if they were not."""
        if self.down == self.across == 1:
            return ""
        high, wide = self.size or self.values.shape
        joined = f"each cell is the largest of {self.down} × {self.across}{self.how}"
        return f"{high:,} × {wide:,} pooled: {joined}, named by the first"


def head_heatmap(units: Reading, head: HeadMap) -> Heatmap:
    """Return the map of one head: rows are queries, columns keys; the scale ends at the largest weight shown."""
    named = bool(units.keys.lines)
    return Heatmap(
        head.weights,
        tuple(units.queries.names[i] if named else units.queries.labels[i] for i in head.rows),
        tuple(str(i) if named else units.keys.labels[i] for i in head.columns),
        0.0,
        float(head.weights.max()) or 1.0,
        percent=units.measure.share,
        blank=True,
        exponent=exponent_in(head.weights, units.measure, per_token=head.per_token),
        named=named,
        numbers=(head.rows, head.columns),
        down=head.down,
        across=head.across,
        size=head.size,
        how=" in each head before the mean" if head.head is None and head.size else "",
    )


def exponent_of(values: Values) -> int:
    """Return the power of ten that brings the largest of ``values`` to ten percent or more."""
    most = float(np.nanmax(values, initial=0.0))
    return max(0, math.ceil(-math.log10(most) - 1)) if 0 < most < 1 else 0


def exponent_in(values: Values, measure: Measure, *, per_token: bool = False) -> int:
    """Return the power of ten with which weights are written: none for shares that are not per token."""
    if measure.share:
        return exponent_of(values) if per_token else 0
    return exponent_of(values / 10)


def overview_heatmap(summary: Summary) -> Heatmap:
    """Return a map with one cell per head: rows are layers, columns heads; NaN for heads that are left out."""
    high = float(np.nanmax(summary.overview, initial=0.0))
    return Heatmap(
        summary.overview,
        tuple(f"L{number}" for number in summary.units.layers),
        ("",) if summary.units.measure.by_layer else tuple(f"H{i}" for i in range(summary.overview.shape[1])),
        low=0.0,
        high=high or 1.0,
        percent=summary.units.measure.share if summary.cell == "link" else summary.cell == "sink",
        exponent=exponent_in(summary.overview, summary.units.measure, per_token=summary.observation.request.per_token)
        if summary.cell == "link"
        else 0,
    )


def profile_heatmap(profile: Profile, layers: Sequence[int], tokens: int) -> Heatmap:
    """Return how much attention goes how far: rows are layers, columns the distances in a text of ``tokens`` tokens."""
    bands = sum(edge < tokens for edge in profile.edges)
    values = np.column_stack((profile.shares[:, : bands + 1], profile.first))
    ends = [*profile.edges[1:], None]
    columns = ("itself", *map(_band, profile.edges[:bands], ends[:bands]), "first")
    return Heatmap(values, tuple(f"L{number}" for number in layers), columns, 0.0, float(values.max()) or 1.0)


def _band(near: int, stop: int | None) -> str:
    """Write a band of distances: ``10–99``, ``1k–10k``, ``≥1M``."""
    if stop is None:
        return f"≥{_short(near)}"
    return f"{near}–{stop - 1}" if stop <= _SHORTENED else f"{_short(near)}–{_short(stop)}"


def _short(number: int) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number // size}{letter}"
    return str(number)


def pool_largest(values: Values, down: int, across: int) -> Values:
    """Return the largest of each ``down`` × ``across`` values of the last two axes; NaN only if all of them are."""
    high, wide = values.shape[-2:]
    joined = np.fmax.reduceat(np.fmax.reduceat(values, range(0, wide, across), axis=-1), range(0, high, down), axis=-2)
    return np.asarray(joined)


def pool(heatmap: Heatmap, rows: int, columns: int) -> Heatmap:
    """Pool ``heatmap`` to at most ``rows`` × ``columns`` cells, each the largest value of the cells that it joins.

    The largest, not the mean: one strong link among a hundred weak ones is what the reader looks for.
    """
    high, wide = heatmap.values.shape
    down, across = math.ceil(high / rows), math.ceil(wide / columns)
    if down == across == 1:
        return heatmap
    return replace(
        heatmap,
        values=pool_largest(heatmap.values, down, across),
        rows=heatmap.rows[::down],
        columns=heatmap.columns[::across],
        numbers=heatmap.numbers and (heatmap.numbers[0][::down], heatmap.numbers[1][::across]),
        down=heatmap.down * down,
        across=heatmap.across * across,
        size=heatmap.size or (high, wide),
    )
