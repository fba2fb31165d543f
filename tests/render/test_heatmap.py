from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.analysis.text.shown_maps import HeadMap
from attnviz.analysis.text.units import read_in
from attnviz.record import Heads
from attnviz.render.heatmap import Heatmap, head_heatmap, overview_heatmap, pool
from tests.analysis.whole import Units, in_words
from tests.records import cross_record, encoding_of, query_mask, random_weights, record, summary_of

WORDS = ("[CLS]", "the", "bank", "loans", "money", ".", "[SEP]")
NOUNS = ("bank", "loan", "company", "river", "water", "money", "house", "stone", "cloud", "paper")


def heatmap(high: int, wide: int, *, seed: int = 0) -> Heatmap:
    values = np.random.default_rng(seed).random((high, wide))
    return Heatmap(values, tuple(f"r{i}" for i in range(high)), tuple(f"c{i}" for i in range(wide)), 0, 1)


def cut(units: Units, layer: int, head: int, rows: list[int], columns: list[int]) -> HeadMap:
    weights = units.weights[layer, head][np.ix_(rows, columns)]
    return HeadMap(layer, head, weights, np.array(rows), np.array(columns))


def test_a_heads_map_has_the_shown_words_on_both_axes() -> None:
    units = in_words(record(WORDS, random_weights((2, 2, 7))))
    found = head_heatmap(units, cut(units, 1, 0, [1, 2, 4], [1, 2, 4]))
    assert found.rows == found.columns == ("the", "bank", "money")
    np.testing.assert_array_equal(found.values, units.weights[1, 0][[1, 2, 4]][:, [1, 2, 4]])
    assert (found.low, found.high) == (0, found.values.max())
    assert found.percent


def test_a_map_of_nothing_has_a_scale_all_the_same() -> None:
    units = in_words(record(["[CLS]", "a", "b"], np.array([[[[1, 0, 0]] * 3]], np.float32)))
    found = head_heatmap(units, cut(units, 0, 0, [1, 2], [1, 2]))
    assert (found.low, found.high) == (0, 1)


@pytest.mark.parametrize(("cell", "percent"), [("link", True), ("sink", True), ("entropy", False), ("distance", False)])
def test_the_overview_has_layers_down_and_heads_across(cell: str, *, percent: bool) -> None:
    summary = summary_of(record(WORDS, random_weights((2, 3, 7))), cell=cell)  # type: ignore[arg-type]
    found = overview_heatmap(summary)
    assert (found.rows, found.columns) == (("L0", "L1"), ("H0", "H1", "H2"))
    np.testing.assert_array_equal(found.values, summary.overview)
    assert (found.low, found.high) == (0, summary.overview.max())
    assert found.percent is percent


def test_the_overviews_scale_does_not_count_heads_that_are_left_out() -> None:
    weights = np.stack([query_mask(-1, 10), random_weights((1, 1, 10))[0, 0]])[None]
    found = overview_heatmap(summary_of(record(NOUNS, weights)))
    assert np.isnan(found.values[0, 0])
    assert found.high == found.values[0, 1] < 1


def test_an_overview_of_nothing_has_a_scale_all_the_same() -> None:
    assert overview_heatmap(summary_of(record(["[CLS]", "the"], random_weights((1, 2, 2))))).high == 1


# Pooling


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(1, 12))
def test_a_pooled_cell_is_the_largest_of_those_it_joins(high: int, wide: int, rows: int, columns: int) -> None:
    whole = heatmap(high, wide)
    pooled = pool(whole, rows, columns)
    down, across = -(-high // rows), -(-wide // columns)
    assert len(pooled.rows) <= rows
    assert len(pooled.columns) <= columns
    assert pooled.values.shape == (len(pooled.rows), len(pooled.columns))
    for i, j in np.ndindex(pooled.values.shape):
        block = whole.values[i * down : (i + 1) * down, j * across : (j + 1) * across]
        assert pooled.values[i, j] == block.max()
        assert (pooled.rows[i], pooled.columns[j]) == (whole.rows[i * down], whole.columns[j * across])


def test_pooling_says_what_it_did() -> None:
    assert (
        pool(heatmap(90, 60), 30, 30).pooled == "90 × 60 pooled: each cell is the largest of 3 × 2, named by the first"
    )


def test_the_numbers_of_units_go_with_their_cells() -> None:
    units = in_words(record([f"w{i}" for i in range(40)], random_weights((1, 1, 40))))
    whole = head_heatmap(units, cut(units, 0, 0, list(range(10, 40)), list(range(0, 40, 2))))
    assert whole.numbers is not None
    assert [numbers.tolist() for numbers in whole.numbers] == [list(range(10, 40)), list(range(0, 40, 2))]
    pooled = pool(whole, 10, 4)
    assert pooled.numbers is not None
    assert [numbers.tolist() for numbers in pooled.numbers] == [list(range(10, 40, 3)), [0, 10, 20, 30]]
    assert pooled.rows[1] == "w13"


def test_what_was_pooled_before_is_said_with_what_is_pooled_now() -> None:
    values = random_weights((1, 1, 64))[0, 0]
    begins = np.arange(0, 8192, 128)
    encoding = encoding_of([f"w{i}" for i in range(8192)])
    units = read_in("word", encoding, None, (0,))
    found = head_heatmap(units, HeadMap(0, 0, values, begins, begins, 128, 128, (8192, 8192)))
    assert found.pooled == "8,192 × 8,192 pooled: each cell is the largest of 128 × 128, named by the first"
    assert pool(found, 32, 16).pooled.startswith("8,192 × 8,192 pooled: each cell is the largest of 256 × 512")


def test_what_fits_is_left_alone() -> None:
    whole = heatmap(8, 8)
    assert pool(whole, 8, 8) is whole
    assert whole.pooled == ""


def test_pooling_keeps_the_scale() -> None:
    whole = heatmap(8, 8)
    pooled = pool(whole, 2, 2)
    assert (pooled.low, pooled.high, pooled.percent) == (whole.low, whole.high, whole.percent)


def test_a_head_that_is_left_out_does_not_hide_those_it_is_pooled_with() -> None:
    values = np.array([[np.nan, 0.5], [0.25, 0.125], [np.nan, np.nan], [np.nan, np.nan]])
    pooled = pool(Heatmap(values, tuple("abcd"), tuple("ab"), 0, 1), 2, 1)
    np.testing.assert_array_equal(pooled.values, [[0.5], [np.nan]])


def test_a_cross_map_has_the_words_of_the_target_down_and_of_the_source_across() -> None:
    units = in_words(cross_record(["Die", "Bank"], WORDS, random_weights((1, 2, 2, 7))))
    found = head_heatmap(units, cut(units, 0, 1, [1], [1, 2, 4]))
    assert (found.rows, found.columns) == (("Bank",), ("the", "bank", "money"))
    np.testing.assert_array_equal(found.values, units.weights[0, 1][[1]][:, [1, 2, 4]])


def test_layers_have_their_own_numbers() -> None:
    summary = summary_of(record(WORDS, random_weights((2, 3, 7)), numbers=(3, 11)), heads=Heads((11,), (2,)))
    assert overview_heatmap(summary).rows == ("L3", "L11")
    assert (summary.maps[0].layer, summary.maps[0].head) == (11, 2)
