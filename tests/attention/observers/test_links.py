"""The strongest links, of each query and of each distance, against those of the full weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention.observers import Band, TopLinks
from attnviz.attention.window import CAUSAL, KeyWindow
from tests.attention.observers.naive import Case, cases

LONG = Case(2, 1, 1100, 1100, window=CAUSAL)
WINDOW = Case(2, 2, 900, 900, window=KeyWindow(left=300, right=300), rows=53)
TWO_TEXTS = Case(4, 2, 70, 1100, rows=9)


def assert_top(found: tuple[Tensor, Tensor], weights: Tensor, k: int) -> None:
    """``found`` are the ``k`` largest of ``weights`` (H, N, M) bit by bit; which of equal ones come first is free."""
    values, keys = found
    assert values.shape == keys.shape == (*weights.shape[:2], k)
    expected = torch.zeros(values.shape, dtype=torch.float64)
    most = min(k, weights.shape[-1])
    expected[..., :most] = weights.topk(most).values
    assert torch.equal(values.double(), expected)
    assert torch.equal(keys >= 0, values > 0)
    there = weights.gather(-1, keys.clamp(min=0).long())
    assert torch.equal(torch.where(keys >= 0, there, 0), values.double())
    ranked = keys.sort(-1).values
    assert not bool(((ranked[..., 1:] == ranked[..., :-1]) & (ranked[..., 1:] >= 0)).any())


@settings(deadline=None, max_examples=45)
@example(case=LONG, k=8)
@example(case=WINDOW, k=3)
@example(case=TWO_TEXTS, k=8)
@example(case=Case(2, 1, 1, 1), k=4)
@given(case=cases(dtypes=(torch.float32, torch.float64, torch.bfloat16)), k=st.integers(1, 20))
def test_top_links_are_the_largest_weights(case: Case, k: int) -> None:
    top = TopLinks(k)
    weights = case.watch(top)
    assert top.layers() == (5,)
    assert_top(top.layer(5), weights, k)


@settings(deadline=None, max_examples=40)
@example(case=LONG, k=8, share=0.5)
@example(case=LONG, k=2, share=0.0)
@given(case=cases(), k=st.integers(1, 9), share=st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_top_links_of_the_keys_that_count(case: Case, k: int, share: float) -> None:
    counts = torch.rand(case.keys, generator=torch.Generator().manual_seed(case.seed)) < share
    top = TopLinks(k, counts)
    weights = case.watch(top)
    assert_top(top.layer(5), weights * counts, k)


@pytest.mark.parametrize("window", [CAUSAL, KeyWindow(), KeyWindow(left=2, right=0)])
def test_top_links_of_equal_weights_are_of_different_keys(window: KeyWindow) -> None:
    top = TopLinks(4)
    weights = Case(2, 2, 700, 700, window=window, spread=0.0, rows=50).watch(top)
    assert_top(top.layer(5), weights, 4)
    assert top.layer(5)[1][0, 699].tolist().count(-1) == (1 if window.left == 2 else 0)


def assert_bands(case: Case, band: Band, weights: Tensor) -> None:
    """Each band holds the strongest links of its distances, once each, to either side."""
    values, queries, keys = band.layer(5)
    assert values.shape == queries.shape == keys.shape == (case.heads, len(band.edges), band.k)
    assert torch.equal(queries >= 0, values > 0)
    assert torch.equal(keys >= 0, values > 0)
    apart = case.apart.abs()
    for i, (near, far) in enumerate(zip(band.edges, [*band.edges[1:], 1 << 40], strict=True)):
        inside = torch.where((apart >= near) & (apart < far), weights, 0).flatten(1)
        expected = torch.zeros(case.heads, band.k, dtype=torch.float64)
        most = min(band.k, inside.shape[-1])
        expected[:, :most] = inside.topk(most).values
        assert torch.equal(values[:, i].double(), expected)
        for h in range(case.heads):
            links = [(q, k) for q, k in zip(queries[h, i].tolist(), keys[h, i].tolist(), strict=True) if q >= 0]
            assert len(set(links)) == len(links)
            assert all(near <= abs(q - k) < far for q, k in links)
            assert [float(weights[h, q, k]) for q, k in links] == values[h, i, : len(links)].tolist()


@st.composite
def edges(draw: st.DrawFn) -> tuple[int, ...]:
    return tuple(sorted(draw(st.sets(st.integers(0, 12) | st.sampled_from([64, 100, 128, 193, 1000]), min_size=1))))


@settings(deadline=None, max_examples=45)
@example(case=LONG, edges=(1, 10, 100, 1000), k=8)
@example(case=WINDOW, edges=(1, 10, 100, 1000), k=8)
@example(case=TWO_TEXTS, edges=(1, 10, 100, 1000), k=8)
@example(case=Case(1, 1, 3, 3), edges=(0,), k=9)
@given(case=cases(), edges=edges(), k=st.integers(1, 12))
def test_bands_hold_the_strongest_links_of_their_distances(case: Case, edges: tuple[int, ...], k: int) -> None:
    band = Band(edges, k)
    weights = case.watch(band)
    assert band.layers() == (5,)
    assert_bands(case, band, weights)


def test_a_band_beyond_the_text_is_empty() -> None:
    band = Band((1, 50, 10_000), 2)
    case = Case(2, 1, 40, 40)
    assert_bands(case, band, case.watch(band))
    assert bool((band.layer(5)[0][:, 1:] == 0).all())
