"""What any heatmap shows, before it is drawn: values, labels, scale; and how it is pooled where it does not fit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.summary import HeadMap, Summary
from attnviz.analysis.units import Reading

Values = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Values (rows, columns) between ``low`` and ``high``; NaN is nothing.

    ``percent``: the values are weights, written in percent. ``pooled`` says how cells were joined.
    """

    values: Values
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    low: float
    high: float
    percent: bool = True
    pooled: str = ""


def head_heatmap(units: Reading, head: HeadMap) -> Heatmap:
    """The map of one head: rows look, columns are looked at; the scale ends at the largest weight shown."""
    rows = tuple(units.queries.labels[i] for i in head.rows)
    columns = tuple(units.keys.labels[i] for i in head.columns)
    return Heatmap(head.weights, rows, columns, 0.0, float(head.weights.max()) or 1.0)


def overview_heatmap(summary: Summary) -> Heatmap:
    """One cell a head: rows are layers, columns heads; NaN where a head is left out."""
    high = float(np.nanmax(summary.overview, initial=0.0))
    return Heatmap(
        summary.overview,
        tuple(f"L{number}" for number in summary.units.layers),
        tuple(f"H{i}" for i in range(summary.overview.shape[1])),
        low=0.0,
        high=high or 1.0,
        percent=summary.cell in ("link", "sink"),
    )


def head_name(head: HeadMap) -> str:
    """``L5 H7``, or ``L5, mean of its heads``."""
    return f"L{head.layer}, mean of its heads" if head.head is None else f"L{head.layer} H{head.head}"


def largest(values: Values, down: int, across: int) -> Values:
    """The largest of each ``down`` × ``across`` values of the last two axes; NaN only where all of them are."""
    high, wide = values.shape[-2:]
    joined = np.fmax.reduceat(np.fmax.reduceat(values, range(0, wide, across), axis=-1), range(0, high, down), axis=-2)
    return np.asarray(joined)


def pool(heatmap: Heatmap, rows: int, columns: int) -> Heatmap:
    """``heatmap`` in at most ``rows`` × ``columns`` cells, each the largest value of the cells that it joins.

    The largest, not the mean: one strong link among a hundred weak ones is what the reader looks for.
    """
    high, wide = heatmap.values.shape
    down, across = math.ceil(high / rows), math.ceil(wide / columns)
    if down == across == 1:
        return heatmap
    return replace(
        heatmap,
        values=largest(heatmap.values, down, across),
        rows=heatmap.rows[::down],
        columns=heatmap.columns[::across],
        pooled=f"{high} × {wide} pooled: each cell is the largest of {down} × {across}, named by the first",
    )
