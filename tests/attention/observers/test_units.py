"""Weights in words, and of one kind of map, against the full weights joined at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention.kernel import Tile
from attnviz.attention.observers import Band, InUnits, Pairs, Tiles, TopLinks, Weights
from attnviz.attention.window import CAUSAL, KeyWindow
from tests.attention.observers.naive import Case, cases

LONG = Case(2, 1, 1100, 1100, window=CAUSAL)
WINDOW = Case(2, 2, 900, 900, window=KeyWindow(left=70, right=0), rows=7)
TWO_TEXTS = Case(4, 2, 70, 1100, rows=9)
SINGLE_ROWS = Case(2, 2, 20, 20, window=CAUSAL, rows=1, bound=20)


def in_units(weights: Tensor, queries: list[int], keys: list[int]) -> Tensor:
    """To a unit the sum over its tokens, from a unit their mean."""
    rows = torch.tensor_split(weights, queries[1:], dim=1)
    means = torch.stack([part.mean(1) for part in rows], dim=1)
    return torch.stack([part.sum(-1) for part in torch.tensor_split(means, keys[1:], dim=-1)], dim=-1)


def cuts(length: int) -> st.SearchStrategy[list[int]]:
    """First tokens of units: of one token each, one for all, or anywhere (long and short words, over many tiles)."""
    return st.one_of(
        st.just(list(range(length))),
        st.just([0]),
        st.tuples(st.sampled_from([0.05, 0.3, 0.7, 0.95]), st.integers(0, 1000)).map(lambda how: random(length, *how)),
    )


def random(length: int, share: float, seed: int) -> list[int]:
    begins = np.random.default_rng(seed).random(length) < share
    begins[0] = True
    return [int(at) for at in np.flatnonzero(begins)]


def same(found: Tensor, expected: Tensor) -> None:
    # A word's weight is a sum of float32 weights, rounded each time.
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=45)
@example(case=LONG, data=None)
@example(case=WINDOW, data=None)
@example(case=TWO_TEXTS, data=None)
@example(case=SINGLE_ROWS, data=None)
@given(case=cases(dtypes=(torch.float32, torch.float64, torch.bfloat16)), data=st.data())
def test_weights_in_units(case: Case, data: st.DataObject | None) -> None:
    if data is None:
        queries, keys = random(case.queries, 0.5, 1), random(case.keys, 0.5, 2)
    else:
        queries, keys = data.draw(cuts(case.queries)), data.draw(cuts(case.keys))
    kept = Weights()
    weights = case.watch(InUnits([kept], queries, keys))
    assert kept.layer(5).shape == (case.heads, len(queries), len(keys))
    same(kept.layer(5), in_units(weights, queries, keys))


@settings(deadline=None, max_examples=30)
@example(case=WINDOW, data=None)
@given(case=cases(), data=st.data())
def test_what_does_not_count_is_zero(case: Case, data: st.DataObject | None) -> None:
    case = replace(case, keys=case.queries)
    share = 0.5 if data is None else data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    units = random(case.queries, 0.5, 1) if data is None else data.draw(cuts(case.queries))
    generator = np.random.default_rng(case.seed)
    query_mask, key_mask = (generator.random(len(units)) < share for _ in range(2))
    kept, other = Weights(), Weights()
    masked = InUnits([kept], units, units, query_mask=query_mask, key_mask=key_mask, itself=False)
    weights = case.watch(masked, InUnits([other], units, units))
    expected = in_units(weights, units, units)
    same(other.layer(5), expected)  # nor for others: the tile is theirs as well
    expected *= torch.from_numpy(np.outer(query_mask, key_mask))
    expected.diagonal(0, 1, 2).zero_()
    same(kept.layer(5), expected)
    assert not kept.layer(5)[expected == 0].any()


@settings(deadline=None, max_examples=30)
@example(case=LONG, data=None)
@example(case=WINDOW, data=None)
@example(case=TWO_TEXTS, data=None)
@given(case=cases(), data=st.data())
def test_observers_in_units_see_what_the_full_weights_in_units_are(case: Case, data: st.DataObject | None) -> None:
    """Tiles of units begin anywhere, not at blocks; the numbers are those of the same weights all at once."""
    if data is None:
        queries, keys = random(case.queries, 0.8, 1), random(case.keys, 0.8, 2)
    else:
        queries, keys = data.draw(cuts(case.queries)), data.draw(cuts(case.keys))
    kept, top, band, tiles = Weights(), TopLinks(3), Band((1, 10, 100), 3), Tiles(9, 5)
    rows = Pairs([0, len(queries) - 1])
    case.watch(InUnits([kept, top, band, tiles, rows], queries, keys))
    whole = kept.layer(5)
    again = TopLinks(3), Band((1, 10, 100), 3), Tiles(9, 5)
    for observer in again:
        observer.tile(Tile(5, 0, 0, whole.clone(), whole.shape))
    for mine, other in ((top, again[0]), (band, again[1])):
        assert torch.equal(mine.layer(5)[0], other.layer(5)[0])
    for mine in (top.layer(5), (band.layer(5)[0].flatten(1), *(part.flatten(1) for part in band.layer(5)[1:]))):
        assert torch.equal(mine[0] > 0, mine[-1] >= 0)
    values, query_mask, key_mask = band.layer(5)
    heads = torch.arange(case.heads)[:, None, None]
    there = whole[heads, query_mask.clamp(min=0).long(), key_mask.clamp(min=0).long()]
    assert torch.equal(torch.where(query_mask >= 0, there, 0), values)
    assert torch.equal(tiles.layer(5), again[2].layer(5))
    assert torch.equal(rows.layer(5), whole[:, [0, -1]])
