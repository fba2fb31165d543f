"""The maps of an observation as they are shown: of which heads, and which rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.table import Table
from attnviz.analysis.text.units import Axis, Reading, reading_of
from attnviz.errors import UsageError, join_ranges, layers_there
from attnviz.record import Array, Heads, Observation

Numbers = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class HeadMap:
    """What is shown of the weights of one head, or of the mean of a layer's (``head`` is None).

    ``layer`` is the model's own number. ``weights`` (r, c) are those of the units ``rows`` (r,) to the units
    ``columns`` (c,); or, where there were too many to keep, cells of ``down`` × ``across`` units, of which each has
    the largest weight and begins at its unit in ``rows`` and ``columns``; ``size`` units were so joined. ``per_token``
    says that weights are divided by how many tokens of the column's unit the query sees.
    """

    layer: int
    head: int | None
    weights: Array
    rows: Numbers
    columns: Numbers
    down: int = 1
    across: int = 1
    size: tuple[int, int] | None = None
    per_token: bool = False


@dataclass(frozen=True, eq=False)
class Grid:
    """What is shown of all heads, (L, H, r, c); pooled as a ``HeadMap`` is.

    ``layers`` and ``heads`` are their own numbers; without any they are those of the observation, and from 0 on.
    """

    weights: Array
    down: int = 1
    across: int = 1
    size: tuple[int, int] | None = None
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()


def head_maps(observation: Observation, units: Reading, strength: NDArray[np.float64], wanted: Heads) -> list[HeadMap]:
    """The maps of the ``wanted`` heads; ``strength`` is as for ``pick_heads``.

    Raises:
        UsageError: a layer or head that the model does not have.
    """
    return [_map(observation, units, *place) for place in pick_heads(units, strength, wanted)]


def _map(observation: Observation, units: Reading, layer: int, head: int | None) -> HeadMap:
    """What is shown of one head; the mean is that of the cells."""
    maps = observation.maps
    place = maps.layers.index(units.layers[layer])
    values = maps.values[place].mean(0) if head is None else maps.values[place, head]
    rows, columns, places = shown_cells(observation, units)
    shown = above(values[places], observation.request.threshold)
    per_token = observation.request.per_token
    return HeadMap(
        units.layers[layer], head, shown, rows, columns, maps.down, maps.across, _size(observation), per_token
    )


def above(weights: Array, threshold: float) -> Array:
    """The weights without those that are smaller than a threshold, whatever their sign: they are 0."""
    return np.where(np.abs(weights) >= threshold, weights, 0) if threshold else weights


def hidden_shares(weights: Array, observation: Observation, *, pooled: bool) -> Array | None:
    """Return which share of each row of ``weights`` (…, r, c) lies on columns that are not shown, (…, r).

    The weights of a query sum to 1, and so do those of a unit. None where the maps do not tell: cells that are
    ``pooled`` hold the largest weight, and weights per token and those that are no shares do not sum to 1.
    """
    if pooled or observation.request.per_token or not observation.measure.share:
        return None
    return np.asarray(np.clip(1 - weights.sum(-1, dtype=np.float64), 0, 1))


def grid(observation: Observation) -> Grid:
    """Return the maps of all heads, or of the layers and heads that were asked for.

    Raises:
        UsageError: a layer or head that the model does not have.
    """
    maps, wanted = observation.maps, observation.request.heads
    units = reading_of(observation)
    require_layers(wanted.layers or (), units.layers)
    require_heads(wanted.heads or (), maps.values.shape[1])
    _, _, (rows, columns) = shown_cells(observation, units)
    values, layers = maps.values, maps.layers
    if wanted.layers is not None:
        layers = tuple(number for number in layers if number in wanted.layers)
        values = values[[maps.layers.index(number) for number in layers]]
    if wanted.heads is not None:
        values = values[:, list(wanted.heads)]
    shown = above(values[:, :, rows, columns], observation.request.threshold)
    return Grid(shown, maps.down, maps.across, _size(observation), layers, wanted.heads or ())


def _size(observation: Observation) -> tuple[int, int] | None:
    """How many units were joined, where they were."""
    return observation.maps.size if observation.maps.down > 1 or observation.maps.across > 1 else None


def shown_cells(
    observation: Observation, units: Reading
) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[NDArray[np.intp], ...]]:
    """The units at which shown rows and columns begin, and where they are in a map.

    These are those of a short text's map, or all cells where there are too many units.
    """
    maps, special = observation.maps, observation.special or observation.everything
    rows = _rows(observation, units.queries, special=special)
    columns = _shown(units.keys, maps.key, maps.size[1], maps.across, special=special)
    return rows, columns, np.ix_((rows - maps.query) // maps.down, (columns - maps.key) // maps.across)


def _rows(observation: Observation, axis: Axis, *, special: bool) -> NDArray[np.intp]:
    """The units at which a map's rows begin; of a passage as a short text's map shows it."""
    maps = observation.maps
    passage = observation.looking
    if passage is None or maps.down > 1:
        return _shown(axis, maps.query, maps.size[0], maps.down, special=special)
    inside = maps.query + np.flatnonzero(passage[maps.query : maps.query + maps.size[0]])
    words = np.intersect1d(inside, shown_of(axis, 0, len(axis), special=special))
    for found in (words, inside):
        if len(found):
            return found
    return np.arange(maps.query, maps.query + maps.size[0])


def _shown(axis: Axis, first: int, count: int, step: int, *, special: bool) -> NDArray[np.intp]:
    """The units at which a map's rows or columns begin, of the ``count`` units from ``first`` on."""
    stop = first + count
    return np.arange(first, stop, step) if step > 1 else shown_of(axis, first, stop, special=special)


def shown_of(axis: Axis, start: int, stop: int, *, special: bool) -> Numbers:
    """The units that a map shows as rows or columns, of those from ``start`` to ``stop`` (exclusive).

    Special tokens and punctuation are left out, unless they are asked for or fewer than two others are left.
    """
    words = start + np.flatnonzero(~(axis.special | axis.punctuation)[start:stop])
    fewest = min(1 if axis.lines else 2, stop - start)
    return np.arange(start, stop) if special or len(words) < fewest else words


def pick_heads(units: Reading, strength: NDArray[np.float64], wanted: Heads) -> list[tuple[int, int | None]]:
    """The wanted heads by their places in ``strength`` (L, H); where layer or head is left open, the strongest.

    The head of a layer's mean is None. ``strength`` is the largest weight of each head, and 1 more where it counts:
    such heads come first; among the others (all positional, or no pair) the largest link decides.

    Raises:
        UsageError: a layer or head that the model does not have.
    """
    count, width = strength.shape
    require_layers(wanted.layers or (), units.layers)
    require_heads(wanted.heads or (), width)
    asked = [units.layers.index(number) for number in wanted.layers or ()]
    if wanted.mean:
        return [(layer, None) for layer in asked or range(count)]
    if wanted.heads is not None:
        layers = asked or [int(strength[:, wanted.heads].max(1).argmax())]
        return [(layer, head) for layer in layers for head in wanted.heads]
    if asked:
        return [(layer, int(strength[layer].argmax())) for layer in asked]
    layer, head = divmod(int(strength.argmax()), width)
    return [(layer, head)]


def of_heads(table: Table, observation: Observation, heads: Heads) -> Table:
    """The rows of a ``table`` that are of the ``heads`` that are asked for.

    Raises:
        UsageError: a layer or head that the model does not have; the mean of heads, which no row is of.
    """
    if heads.mean:
        raise UsageError("an answer is about single heads: there is none about their mean", hint="Leave the mean out.")
    kept = np.ones(len(table), bool)
    if heads.layers is not None:
        require_layers(heads.layers, observation.layer_numbers)
        kept &= np.isin(table["layer"], heads.layers)
    if heads.heads is not None and "head" in table.values:
        require_heads(heads.heads, observation.heads)
        kept &= np.isin(table["head"], heads.heads)
    return table.take(np.flatnonzero(kept))


def require_layers(wanted: Sequence[int], there: Sequence[int]) -> None:
    """Raise a ``UsageError`` where one of the ``wanted`` layers is not ``there``."""
    for number in wanted:
        if number not in there:
            raise UsageError(f"no layer {number}: {layers_there(there)}")


def require_heads(wanted: Sequence[int], count: int) -> None:
    """Raise a ``UsageError`` where one of the ``wanted`` heads is not among the ``count`` of each layer."""
    for number in wanted:
        if not 0 <= number < count:
            heads = f"head{'s' * (count > 1)} {join_ranges(range(count))}"
            raise UsageError(f"no head {number}: each layer of this model has {heads}")
