"""Two maps whose rows and columns correspond, for a picture of their difference."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Two maps, row beside row and column beside column, where their texts have as many.

    Attributes:
        maps: the two.
        title: what they have in common.
        head: layer and head; None for the mean of the layer's heads.
    """

    maps: tuple[NamedMap, NamedMap]
    title: str
    head: tuple[int, int | None]

    @property
    def difference(self) -> Array | None:
        """The second minus the first, (r, c); None if they do not correspond."""
        first, second = self.maps
        return second.weights - first.weights if first.weights.shape == second.weights.shape else None

    @property
    def labels(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The labels of rows and columns of the difference: both words where they differ."""
        first, second = self.maps
        return _both(first.rows, second.rows), _both(first.columns, second.columns)


def _both(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(a if a == b else f"{a} / {b}" for a, b in zip(first, second, strict=False))


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


def align(first: Summary, second: Summary) -> Aligned:
    """Return the first map of two summaries side by side: of two texts, or of one text in two models.

    Raises:
        UsageError: a text so long that its weights were not kept one by one.
    """
    models = [summary.observation.model.rpartition("/")[2] for summary in (first, second)]
    texts = [" ".join(summary.units.queries.labels[i] for i in summary.maps[0].rows) for summary in (first, second)]
    one_model = models[0] == models[1]
    names = texts if one_model else models
    maps = [
        named_map(summary.observation, summary.units, summary.maps[0], name)
        for summary, name in zip((first, second), names, strict=True)
    ]
    head = first.maps[0]
    return Aligned((maps[0], maps[1]), models[0] if one_model else " and ".join(models), (head.layer, head.head))
