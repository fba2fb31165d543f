"""The links of some heads that a picture of lines between words shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from attnviz.analysis.text.shown_maps import HeadMap, Numbers, hidden_shares
from attnviz.analysis.text.units import Mask, Reading
from attnviz.errors import UsageError
from attnviz.record import Observation

MOST_HEADS = 8
"""The most heads that are told apart; of more the mean is shown."""
MOST_LINKS = 4_000
"""The most lines of a picture."""
MOST_WORDS = 60
"""The most words of a side; of longer texts only the words of the strongest links are shown."""
Line = tuple[int, int, int, float]
"""The place of a head, of a query and of a key, and the weight."""


@dataclass(frozen=True, eq=False)
class Arcs:
    """Words that look and words that are looked at, and the weights between them.

    Attributes:
        units: the units of the whole text.
        queries: the labels of the queries shown.
        keys: the labels of the keys shown.
        heads: layer and head of each of the heads; None for the mean of a layer's.
        links: the lines.
        left_out: how many links between units that could be shown are left out.
        averaged: how many heads the one head shown is the mean of; 0 if it is one.
        hidden: the share of the rows' weight on tokens that are not shown; None if unknown.
    """

    units: Reading
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    heads: tuple[tuple[int, int | None], ...]
    links: tuple[Line, ...]
    left_out: int = 0
    averaged: int = 0
    hidden: float | None = None


def find_arcs(observation: Observation, units: Reading, maps: Sequence[HeadMap], most_words: int = MOST_WORDS) -> Arcs:
    """Return the lines of the heads of ``maps``; of a long text those of its strongest links.

    Where words were asked for, only these look.

    Args:
        observation: what was observed.
        units: its words, or other units.
        maps: the maps of the heads.
        most_words: the most words of a side; of more only those of the strongest links are shown.

    Raises:
        UsageError: a mean of heads, or more heads than are told apart, of a text whose weights were not kept.
    """
    if maps[0].size is not None:
        return _long(observation, units, maps, most_words)
    weights = np.stack([each.weights for each in maps]).astype(np.float64)  # (k, r, c)
    shares = hidden_shares(weights, observation, pooled=False)
    looking = np.ones(len(maps[0].rows), bool)
    if observation.named and not observation.large:
        looking = np.isin(maps[0].rows, observation.asked)
        weights[:, ~looking] = 0
    hidden = None if shares is None or not looking.any() else float(shares[:, looking].mean())
    heads, averaged = tuple((each.layer, each.head) for each in maps), 0
    if len(maps) > MOST_HEADS:
        weights, averaged = weights.mean(0, keepdims=True), len(maps)
        heads = heads[:1]
    rows, columns = maps[0].rows, maps[0].columns
    total = int(np.count_nonzero(weights))
    many = max(len(rows), len(columns)) > most_words
    if many:
        weights = np.where(_counting(observation, rows, columns), weights, 0)
    order = np.argsort(weights, None)[::-1][: min(MOST_LINKS, np.count_nonzero(weights))]
    kept = zip(*np.unravel_index(order, weights.shape), strict=True)
    lines = [(int(h), int(rows[q]), int(columns[k]), float(weights[h, q, k])) for h, q, k in kept]
    shown_rows, shown_columns = rows.tolist(), columns.tolist()
    if many:
        lines = _of_few_words(lines, most_words)
        shown_rows, shown_columns = sorted({q for _, q, _, _ in lines}), sorted({k for _, _, k, _ in lines})
    arcs = _arcs(units, lines, shown_rows, shown_columns, heads, total=total)
    return replace(arcs, averaged=averaged, hidden=hidden)


def _counting(observation: Observation, rows: Numbers, columns: Numbers) -> Mask:
    """Which of the weights (r, c) are links that count: a long text would show its sinks and self-links alone."""
    found = observation.query_mask[rows][:, None] & observation.key_mask[columns]
    return found if observation.itself or observation.keys is not None else found & (rows[:, None] != columns)


def _of_few_words(lines: Sequence[Line], most: int) -> list[Line]:
    """Return the first of ``lines`` between at most so many words a side."""
    queries: set[int] = set()
    keys: set[int] = set()
    found = []
    for line in lines:
        _, query, key, _ = line
        if len(queries | {query}) > most or len(keys | {key}) > most:
            continue
        queries.add(query)
        keys.add(key)
        found.append(line)
    return found


def _long(observation: Observation, units: Reading, maps: Sequence[HeadMap], most_words: int) -> Arcs:
    """Return the strongest links that were kept of each query."""
    if len(maps) > MOST_HEADS:
        raise UsageError(
            f"of so long a text there are no links of the mean of {len(maps)} heads",
            hint=f"Name at most {MOST_HEADS} heads, or show fewer words.",
        )
    heads = [(each.layer, each.head) for each in maps]
    lines: list[Line] = []
    for place, (layer, head) in enumerate(heads):
        if head is None:
            raise UsageError(
                "of so long a text there are no links of the mean of heads", hint="Name a head, or show fewer words."
            )
        row = observation.layer_numbers.index(layer)
        weights, keys = observation.links.weights[row, head], observation.links.keys[row, head]  # (n, k)
        if observation.named and not observation.large:
            weights = np.where(np.isin(np.arange(len(weights)), observation.asked)[:, None], weights, 0)
        for query, number in np.argwhere(weights > 0).tolist():
            lines.append((place, query, int(keys[query, number]), float(weights[query, number])))
    lines.sort(key=lambda line: -line[-1])
    total = len(lines)
    kept = _of_few_words(lines[: 10 * MOST_LINKS], most_words)
    shown = sorted({q for _, q, _, _ in kept}), sorted({k for _, _, k, _ in kept})
    return _arcs(units, kept, *shown, tuple(heads), total=total)


def _arcs(
    units: Reading, lines: Sequence[Line], rows: Sequence[int], columns: Sequence[int],
    heads: tuple[tuple[int, int | None], ...], *, total: int,
) -> Arcs:  # fmt: skip
    row_of, column_of = ({unit: place for place, unit in enumerate(side)} for side in (rows, columns))
    links = tuple((head, row_of[query], column_of[key], weight) for head, query, key, weight in lines)
    named = bool(units.keys.lines)
    queries, keys = (axis.names if named else axis.labels for axis in (units.queries, units.keys))
    return Arcs(
        units, tuple(queries[i] for i in rows), tuple(keys[i] for i in columns), heads, links, total - len(links)
    )
