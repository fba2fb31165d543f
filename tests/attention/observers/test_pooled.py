"""Cells of pictures, and rows of chosen tokens, against the full weights cut and pooled."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from attnviz.attention.observers import Pairs, Tiles
from attnviz.attention.window import CAUSAL, KeyWindow
from tests.attention.observers.naive import Case, cases

LONG = Case(2, 1, 1100, 1100, window=CAUSAL)
WINDOW = Case(2, 2, 1100, 1100, window=KeyWindow(left=300, right=0), rows=80)
TWO_TEXTS = Case(4, 2, 70, 1100, rows=9)
How = Literal["max", "mean"]


def pooled(weights: Tensor, down: int, across: int, how: How) -> Tensor:
    """``weights`` (H, N, M) in cells of ``down`` × ``across``, of which the last ones are what is left."""
    heads, n, m = weights.shape
    padded = functional.pad(weights, (0, -m % across, 0, -n % down), value=torch.nan)
    cells = padded.view(heads, -(-n // down), down, -(-m // across), across).transpose(2, 3).flatten(3)
    return cells.nanmean(-1) if how == "mean" else cells.nan_to_num(-1).amax(-1)


def assert_cells(tiles: Tiles, part: Tensor, most: tuple[int, int]) -> None:
    """``tiles`` are those of ``part`` (H, n, m), and as many as ``most``, if not by far fewer than must be."""
    cells = tiles.layer(5)
    assert cells.shape[1] <= most[0]
    assert cells.shape[2] <= most[1]
    for step, size, bound in zip((tiles.down, tiles.across), part.shape[1:], most, strict=True):
        assert step & (step - 1) == 0 if step < 64 else step % 64 == 0
        assert step == 1 or (step // 2 if step <= 64 else step - 64) * bound < size
    tolerance = 0 if tiles.how == "max" else 1e-6  # a mean is a sum in float32
    torch.testing.assert_close(
        cells.double(), pooled(part, tiles.down, tiles.across, tiles.how), rtol=tolerance, atol=tolerance
    )


@settings(deadline=None, max_examples=30)
@example(case=LONG, most=(50, 7), how="max")
@example(case=LONG, most=(3, 7), how="mean")
@example(case=TWO_TEXTS, most=(60, 10), how="max")
@example(case=TWO_TEXTS, most=(1, 1), how="mean")
@given(
    case=cases(),
    most=st.tuples(*[st.integers(1, 6) | st.sampled_from([20, 64, 1000])] * 2),
    how=st.sampled_from(["max", "mean"]),
)
def test_cells_of_the_whole_map(case: Case, most: tuple[int, int], how: How) -> None:
    tiles = Tiles(*most, how=how)
    weights = case.watch(tiles)
    assert tiles.layers() == (5,)
    assert_cells(tiles, weights, most)


@settings(deadline=None, max_examples=30)
@given(case=cases(), data=st.data())
def test_cells_of_a_window(case: Case, data: st.DataObject) -> None:
    def window(size: int) -> tuple[int, int]:
        start = data.draw(st.integers(0, size - 1))
        return start, data.draw(st.integers(start + 1, size))

    queries, keys = window(case.queries), window(case.keys)
    most = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    tiles = Tiles(*most, queries=queries, keys=keys, how=data.draw(st.sampled_from(["max", "mean"])))
    weights = case.watch(tiles)
    assert_cells(tiles, weights[:, slice(*queries), slice(*keys)], most)


@pytest.mark.parametrize("how", ["max", "mean"])
@pytest.mark.parametrize("left", [0, 3, 64])
@pytest.mark.parametrize("case", [LONG, WINDOW], ids=["causal", "window"])
def test_cells_of_whole_blocks_in_a_window_that_begins_at_a_block_or_beside_it(case: Case, left: int, how: How) -> None:
    tiles = Tiles(10, 3, keys=(left, 1100), how=how)
    weights = case.watch(tiles)
    assert tiles.across % 64 == 0
    assert_cells(tiles, weights[..., left:], (10, 3))


def test_a_window_that_fits_is_kept_weight_by_weight() -> None:
    tiles = Tiles(40, 37, queries=(1000, 1040), keys=(3, 40))
    weights = LONG.watch(tiles)
    assert (tiles.down, tiles.across) == (1, 1)
    assert torch.equal(tiles.layer(5).double(), weights[:, 1000:1040, 3:40])


@settings(deadline=None, max_examples=30)
@given(case=cases(dtypes=(torch.float32, torch.float64)), data=st.data())
def test_pairs_are_rows_and_cells_of_the_map(case: Case, data: st.DataObject) -> None:
    queries = data.draw(st.lists(st.integers(0, case.queries - 1), max_size=9))
    keys = data.draw(st.lists(st.integers(0, case.keys - 1), max_size=9))
    rows, cells = Pairs(queries), Pairs(queries, keys)
    weights = case.watch(rows, cells)
    assert rows.layers() == cells.layers() == (5,)
    assert torch.equal(rows.layer(5).double(), weights[:, queries])
    assert torch.equal(cells.layer(5).double(), weights[:, queries][..., keys])


def test_pairs_of_nothing_are_empty() -> None:
    case, observers = Case(2, 1, 5, 5), (Pairs([]), Pairs([], [1]), Pairs([1, 1], []), Pairs([], []))
    case.watch(*observers)
    assert [tuple(each.layer(5).shape) for each in observers] == [(2, 0, 5), (2, 0, 1), (2, 2, 0), (2, 0, 0)]
