"""Parts of maps that are kept as they are, against the full weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from attnviz.attention.observers import LinkSelection, UnitsAndRegions, Weights
from attnviz.attention.observers.regions import SIDE
from attnviz.attention.tile import Tile
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow
from tests.attention.observers.naive import Case
from tests.attention.observers.test_reading import in_units, random, same

COUNT = 3
CASES = {
    "causal": Case(2, 1, 300, 300, window=CAUSAL),
    "small tiles": Case(4, 2, 300, 300, window=EVERYTHING, rows=9),
    "a window": Case(2, 2, 300, 300, window=KeyWindow(left=50, right=0), rows=40),
    "two texts": Case(2, 2, 90, 280, rows=64),
    "without loops": Case(2, 2, 200, 200, window=CAUSAL, rows=31, by_torch=True),
}


def observer(queries: list[int], keys: list[int]) -> tuple[UnitsAndRegions, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    masks = generator.random(len(queries)) < 0.7, generator.random(len(keys)) < 0.7
    return UnitsAndRegions(queries, keys, links=LinkSelection(20, *masks), regions=COUNT), *masks


def assert_strongest(units: UnitsAndRegions, weights: Tensor, looks: np.ndarray, counts: np.ndarray) -> None:
    """The squares are parts of ``weights`` (H, n, m), and those of the strongest links of the units that count."""
    n, m = weights.shape[1:]
    for head, whole in enumerate(weights):
        seen = whole.numpy() * looks[:, None] * counts
        strength = {
            (row, column): seen[row : row + SIDE, column : column + SIDE].max()
            for row in range(0, n, SIDE)
            for column in range(0, m, SIDE)
        }
        best = sorted(strength, key=lambda place: -strength[place])[:COUNT]
        found = units.kept(5, head)
        assert [(each.query, each.key) for each in found] == best
        for each in found:
            assert each.weights.shape == (min(SIDE, n - each.query), min(SIDE, m - each.key))
            same(each.weights, whole[each.query : each.query + SIDE, each.key : each.key + SIDE])
            assert each.strength == pytest.approx(strength[each.query, each.key], rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_squares_of_the_strongest_links_are_kept_as_they_are(name: str) -> None:
    case = CASES[name]
    queries, keys = random(case.queries, 0.6, 1), random(case.keys, 0.6, 1 if case.queries == case.keys else 2)
    units, looks, counts = observer(queries, keys)
    weights = in_units(case.watch(units), queries, keys)
    assert_strongest(units, weights, looks, counts)


def test_weights_that_come_in_whole_tiles_have_the_same_squares() -> None:
    case = replace(CASES["causal"], rows=70)
    starts = random(300, 0.6, 1)
    (live, *masks), (again, *_), kept = observer(starts, starts), observer(starts, starts), Weights()
    weights = in_units(case.watch(live, kept), starts, starts)
    again.tile(Tile(5, 0, 0, kept.layer(5).numpy(), (2, 300, 300)))
    for units in (live, again):
        assert_strongest(units, weights, *masks)


def test_squares_are_multiplied_as_weights_are() -> None:
    factors = np.random.default_rng(0).random((100, 100))
    units = UnitsAndRegions(
        range(100), range(100), links=LinkSelection(5), regions=2,
        factors=lambda first, count, _: factors[first : first + count],
    )  # fmt: skip
    weights = Case(1, 1, 100, 100, rows=11).watch(units) * torch.from_numpy(factors)
    for each in units.kept(5, 0):
        same(each.weights, weights[0, each.query : each.query + SIDE, each.key : each.key + SIDE])
