"""Two maps and which of their rows and columns correspond, for a picture of their difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attnviz.analysis.text.matching import match_words
from attnviz.analysis.text.shown_maps import HeadMap, hidden_shares
from attnviz.analysis.text.summary import Summary
from attnviz.analysis.text.units import Reading
from attnviz.errors import UsageError
from attnviz.record import Array, Observation


@dataclass(frozen=True, eq=False)
class NamedMap:
    """The weights of one head with the words of its rows and columns.

    Attributes:
        name: what the map is of.
        weights: the weights, (r, c).
        rows: the labels of the rows.
        columns: the labels of the columns.
        hidden: the share of each row's weight that is not shown, (r,); None if unknown.
    """

    name: str
    weights: Array
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    hidden: Array | None = None


@dataclass(frozen=True, eq=False)
class Aligned:
    """Two maps, and the difference between the rows and columns that correspond, as ``match_words`` says.

    Attributes:
        maps: the two.
        title: what they have in common.
        head: layer and head; None for the mean of the layer's heads.
        other: those of the second map, where two heads are compared.
    """

    maps: tuple[NamedMap, NamedMap]
    title: str
    head: tuple[int, int | None]
    other: tuple[int, int | None] | None = None

    @cached_property
    def difference(self) -> Array | None:
        """The second minus the first, of the rows and columns that correspond (r, c); None if none do."""
        if not self.rows or not self.columns:
            return None
        first, second = (
            each.weights[np.ix_([row[side] for row in self.rows], [column[side] for column in self.columns])]
            for side, each in enumerate(self.maps)
        )
        return np.asarray(second - first)

    @cached_property
    def rows(self) -> list[tuple[int, int]]:
        """The rows that correspond: the number in the first, and in the second."""
        return match_words(self.maps[0].rows, self.maps[1].rows)

    @cached_property
    def columns(self) -> list[tuple[int, int]]:
        """The columns that correspond, likewise."""
        return match_words(self.maps[0].columns, self.maps[1].columns)

    @property
    def alone(self) -> bool:
        """Whether some rows or columns have no counterpart."""
        sizes = {len(self.rows)} | {len(each.rows) for each in self.maps}
        return len(sizes) > 1 or len({len(self.columns)} | {len(each.columns) for each in self.maps}) > 1

    @property
    def labels(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The labels of rows and columns of the difference: both words where they differ."""
        first, second = self.maps
        return (
            tuple(both_words(first.rows[i], second.rows[j]) for i, j in self.rows),
            tuple(both_words(first.columns[i], second.columns[j]) for i, j in self.columns),
        )


def both_words(first: str, second: str) -> str:
    """The name of a word of two texts: both, where they differ."""
    return first if first.casefold() == second.casefold() else f"{first} / {second}"


def named_map(observation: Observation, units: Reading, head: HeadMap, name: str) -> NamedMap:
    """Return the map of one head with its words.

    Raises:
        UsageError: the text is so long that its weights were not kept one by one.
    """
    if head.size is not None:
        raise UsageError(
            f"a map of {head.size[0]:,} × {head.size[1]:,} {units.kind}s is pooled and can't be compared cell by cell",
            hint="Show fewer rows and columns, or larger units.",
        )
    queries, keys = (axis.names if axis.lines else axis.labels for axis in (units.queries, units.keys))
    return NamedMap(
        name,
        head.weights,
        tuple(queries[i] for i in head.rows),
        tuple(keys[i] for i in head.columns),
        hidden_shares(head.weights, observation, pooled=False),
    )


def _shown(labels: Sequence[str], places: Iterable[int]) -> str:
    """The text that rows or columns show."""
    return " ".join(labels[i] for i in places)


def align(first: Summary, second: Summary) -> Aligned:
    """Return the first map of two summaries side by side: of two texts, of one text in two models, or of two heads.

    Raises:
        UsageError: a text so long that its weights were not kept one by one.
    """
    models = [summary.observation.model.rpartition("/")[2] for summary in (first, second)]
    texts = [_shown(each.units.queries.labels, each.maps[0].rows) for each in (first, second)]
    if texts[0] == texts[1]:  # one target of two sources
        texts = [_shown(each.units.keys.labels, each.maps[0].columns) for each in (first, second)]
    one_model = models[0] == models[1]
    names = texts if one_model else models
    maps = [
        named_map(summary.observation, summary.units, summary.maps[0], name)
        for summary, name in zip((first, second), names, strict=True)
    ]
    title = models[0] if one_model else " and ".join(models)
    head, other = ((each.maps[0].layer, each.maps[0].head) for each in (first, second))
    return Aligned((maps[0], maps[1]), title, head, None if other == head or not one_model else other)
