"""What one word of a text looks at, in each layer or in each head of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnviz.analysis.text.links import only_unit
from attnviz.analysis.text.shown_maps import hidden_shares, shown_cells
from attnviz.analysis.text.units import Reading
from attnviz.errors import UsageError
from attnviz.record import Array, Observation

MOST_SHADED = 4_000
"""The most words of all lines together."""


@dataclass(frozen=True, eq=False)
class Shading:
    """What one unit gives to the units of its text.

    Attributes:
        word: the unit that looks.
        query: its place among ``words``; None if it is not among them.
        words: the labels of the units shown.
        lines: layer and head of each row of weights; None for the mean of the layer's heads.
        weights: the weights, (lines, words).
        hidden: the share of the weight on units that are not shown, as a mean over the lines; None if unknown.
    """

    word: str
    query: int | None
    words: tuple[str, ...]
    lines: tuple[tuple[int, int | None], ...]
    weights: Array
    hidden: float | None


def find_shading(observation: Observation, units: Reading, word: str) -> Shading:
    """Return what ``word`` (``the:2``: its second occurrence) looks at: by layer, or by the heads that were asked for.

    Raises:
        UsageError: the text has no such word, several of them, or so many that its weights were not kept one by one.
    """
    query = only_unit(units.queries, word, units.kind)
    maps, wanted = observation.maps, observation.request.heads
    if maps.down > 1 or maps.across > 1:
        raise UsageError(
            f"a text of {len(units.keys):,} {units.kind}s has too many weights to shade its words",
            hint="Show fewer columns, or larger units.",
        )
    _, columns, _ = shown_cells(observation, units)
    if not maps.query <= query < maps.query + maps.size[0]:
        raise UsageError(f"{word!r} is not among the rows that are shown")
    rows = maps.values[:, :, query - maps.query, columns - maps.key].astype(np.float64)  # (L, H, c)
    layers = [i for i, number in enumerate(maps.layers) if wanted.layers is None or number in wanted.layers]
    heads = range(rows.shape[1]) if wanted.heads is None else wanted.heads
    if (len(layers) > 1 and wanted.heads is None) or wanted.mean:
        lines: list[tuple[int, int | None]] = [(maps.layers[i], None) for i in layers]
        weights = rows[layers].mean(1)
    else:
        lines = [(maps.layers[i], head) for i in layers for head in heads]
        weights = np.stack([rows[i, head] for i in layers for head in heads])
    if weights.size > MOST_SHADED:
        raise UsageError(
            f"{len(lines)} lines of {len(columns):,} {units.kind}s are too many to read",
            hint="Name some layers, or show fewer columns.",
        )
    shares = hidden_shares(weights, observation, pooled=False)
    labels = units.keys.names if units.keys.lines else units.keys.labels
    asks = query if units.one_text and query in columns else None
    return Shading(
        units.queries.labels[query], None if asks is None else int(np.searchsorted(columns, asks)),
        tuple(labels[i] for i in columns), tuple(lines), weights, None if shares is None else float(shares.mean()),
    )  # fmt: skip
