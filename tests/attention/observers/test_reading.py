"""Links, maps and averages in units, and those of one kind of map, against the full weights joined at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention.kernel import Kind, Observer, Tile, attend
from attnviz.attention.observers import HeadSums, LinkSelection, MapSelection, Only, OnlyQueries, Units, Weights
from attnviz.attention.observers.selection import LayerFindings, step
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


def same(found: np.ndarray, expected: Tensor) -> None:
    # A word's weight is a sum of float32 weights, rounded each time.
    torch.testing.assert_close(torch.from_numpy(found).double(), expected, rtol=1e-5, atol=1e-6)


def assert_strongest(values: np.ndarray, queries: np.ndarray, keys: np.ndarray, seen: Tensor) -> None:
    """The ``values`` (H, …, k), in order, are the largest of ``seen`` (H, n, m), and stand where they say."""
    flat = seen.flatten(1).sort(-1, descending=True).values[:, : values.shape[-1]]
    same(values[:, : flat.shape[1]], flat)
    there = values > 0
    assert ((keys >= 0) == there).all()
    heads = np.broadcast_to(np.arange(len(seen))[:, None], keys.shape)
    at = seen.numpy()[heads[there], queries[there], keys[there]]
    np.testing.assert_allclose(at, values[there], rtol=1e-5, atol=1e-6)


def assert_found(found: LayerFindings, weights: Tensor, links: LinkSelection, map_: MapSelection) -> None:
    """``weights`` (H, n, m) are in units."""
    n, m = weights.shape[1:]
    queries, keys = (
        torch.ones(size, dtype=torch.bool) if mask is None else torch.from_numpy(mask)
        for size, mask in ((n, links.queries), (m, links.keys))
    )
    seen = weights * keys
    if not links.itself:
        seen.diagonal(0, 1, 2).zero_()
    for query in range(links.first, n if links.stop is None else links.stop):
        row = seen[:, [query]] * queries[query]
        place = query - links.first
        assert_strongest(found.weights[:, place], np.zeros_like(found.keys[:, place]), found.keys[:, place], row)
    near = queries if links.near is None else torch.from_numpy(links.near)
    apart = (torch.arange(n)[:, None] - torch.arange(m)).abs()
    for band, (low, high) in enumerate(pairwise((*links.edges, 1 << 30))):
        inside = seen * near[:, None] * ((apart >= low) & (apart < high))
        assert_strongest(
            found.strong[:, band], found.strong_queries[:, band], found.strong_keys[:, band], inside
        )  # fmt: skip
    shown = weights.clone()
    if map_.queries is not None and map_.keys is not None:
        shown *= torch.from_numpy(np.outer(map_.queries, map_.keys))
    part = shown[:, map_.top : map_.bottom, map_.left : map_.right].numpy()
    cells = np.maximum.reduceat(part, range(0, part.shape[1], map_.down), axis=1)
    cells = np.maximum.reduceat(cells, range(0, part.shape[2], map_.across), axis=2)
    same(found.cells, torch.from_numpy(cells))


@settings(deadline=None, max_examples=25)
@example(case=LONG, data=None)
@example(case=WINDOW, data=None)
@example(case=TWO_TEXTS, data=None)
@example(case=SINGLE_ROWS, data=None)
@given(case=cases(dtypes=(torch.float32, torch.float32, torch.float64, torch.bfloat16)), data=st.data())
def test_what_is_found_in_units(case: Case, data: st.DataObject | None) -> None:
    if data is None:
        queries, keys = random(case.queries, 0.5, 1), random(case.keys, 0.5, 2)
    else:
        queries, keys = data.draw(cuts(case.queries)), data.draw(cuts(case.keys))
    n, m = len(queries), len(keys)
    generator = np.random.default_rng(case.seed)
    masks = [None if generator.random() < 0.3 else generator.random(size) < 0.6 for size in (n, m, n)]
    first, itself = int(generator.integers(0, n)), bool(generator.random() < 0.5)
    stop = None if generator.random() < 0.5 else int(generator.integers(first, n + 1))
    links = LinkSelection(
        int(generator.integers(1, 6)), masks[0], masks[1], itself=itself, first=first, stop=stop,
        edges=(1, 10, 100)[: int(generator.integers(0, 4))], listed=3, near=masks[2],
    )  # fmt: skip
    (top, bottom), (left, right) = (sorted(generator.integers(0, size + 1, 2).tolist()) for size in (n, m))
    bottom, right = max(bottom, top + (top < n)), max(right, left + (left < m))
    top, left = min(top, bottom - 1), min(left, right - 1)
    down, across = (int(generator.choice([1, 2, 3, 16, 17, 64])) for _ in range(2))
    shown = [generator.random(size) < 0.6 for size in (n, m)] if generator.random() < 0.5 else [None, None]
    map_ = MapSelection(top, bottom, left, right, down, across, *shown)
    averaged = generator.integers(0, n, 3).tolist()
    units = Units(queries, keys, links=links, map_=lambda _: map_, averaged=averaged)
    weights = in_units(case.watch(units), queries, keys)
    assert units.layers() == (5,)
    assert_found(units.found[5], weights, links, map_)
    same(units.average, weights[:, averaged].mean(0))


def test_units_without_tokens_and_weights_that_are_multiplied() -> None:
    """Of some queries only: the second unit has none, and neither has the last."""
    case, queries, keys = Case(2, 1, 20, 20, window=CAUSAL, rows=3), [1, 2, 3, 9, 10, 19], [0, 4, 5, 12]
    starts = [0, 2, 2, 3, 6]
    factors = np.random.default_rng(0).random((5, 4))
    units = Units(
        starts, keys, links=LinkSelection(2, edges=(1,), listed=2), map_=lambda _: MapSelection(0, 5, 0, 4),
        averaged=[0, 3], factors=lambda first, count, _: factors[first : first + count],
    )  # fmt: skip
    weights = in_units(case.watch(OnlyQueries([units], queries))[:, queries], [0, 2, 3], keys)
    whole = torch.zeros(2, 5, 4, dtype=torch.float64)
    whole[:, [0, 2, 3]] = weights * torch.from_numpy(factors)[[0, 2, 3]]
    same(units.found[5].cells, whole)
    same(units.found[5].weights, whole.topk(2).values)
    same(units.average, whole[:, [0, 3]].mean(0))


@pytest.mark.parametrize("window", [CAUSAL, KeyWindow(), KeyWindow(left=2, right=0)])
def test_links_of_equal_weights_are_of_different_keys(window: KeyWindow) -> None:
    n = 80
    units, q = Units(range(n), range(n), links=LinkSelection(4)), torch.zeros(2, n, 4)
    attend(q, q, q, scale=1.0, window=window, observers=[units])
    found = units.found[0]
    for keys, values in zip(found.keys.reshape(-1, 4), found.weights.reshape(-1, 4), strict=True):
        there = keys[keys >= 0]
        assert len(set(there.tolist())) == len(there) == (values > 0).sum()
        assert there.tolist() == sorted(there.tolist()), "of equal ones the first"


def test_a_replay_of_weights_in_tiles_finds_the_same() -> None:
    case = replace(LONG, rows=100)
    queries = random(1100, 0.6, 3)
    links, kept = LinkSelection(3, edges=(1, 30), listed=2), Weights()
    live, again = (Units(queries, queries, links=links, averaged=[7]) for _ in range(2))
    case.watch(live, kept)
    for start in range(0, 1100, 90):
        part = kept.layer(5)[:, start : start + 90]
        again.tile(Tile(5, start, 0, part, (2, 1100, 1100)))
    for name in ("weights", "keys", "strong", "strong_queries", "strong_keys"):
        np.testing.assert_allclose(
            getattr(live.found[5], name), getattr(again.found[5], name), rtol=1e-6, atol=1e-7, err_msg=name
        )
    np.testing.assert_allclose(live.average, again.average, rtol=1e-5, atol=1e-7)


def test_cells_join_powers_of_two_and_then_many() -> None:
    assert [step(size, 10) for size in (1, 10, 11, 35, 640, 650, 2000)] == [1, 1, 2, 4, 64, 128, 256]


def test_the_maps_of_an_encoder_decoder_are_told_apart() -> None:
    kept: dict[Kind, Weights] = {kind: Weights() for kind in ("encoder", "decoder", "cross")}
    sums = HeadSums()
    q, k = torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    observers: list[Observer] = [Only(kind, [weights]) for kind, weights in kept.items()]
    observers.append(Only("cross", [sums]))
    for kind in kept:
        attend(q, k, k, scale=1.0 if kind == "cross" else 0.5, kind=kind, observers=observers)
    assert [weights.layers(kind) for kind, weights in kept.items()] == [(0,)] * 3
    assert [weights.layers("cross") for weights in kept.values()] == [(), (), (0,)]
    torch.testing.assert_close(kept["cross"].layer(0, "cross"), (q @ k.transpose(1, 2)).softmax(-1))
    entropy = torch.special.entr(kept["cross"].layer(0, "cross")).sum(-1).mean(-1)
    torch.testing.assert_close(torch.from_numpy(sums.figures["entropy"][0]).float(), entropy)


@pytest.mark.parametrize("causal", [True, False])
def test_a_layer_that_nobody_wants_is_computed_all_the_same(causal: bool) -> None:
    class Other(Observer):
        def wants(self, layer: int, kind: Kind) -> bool:
            return layer == 1 and kind == "self"

        def tile(self, tile: Tile) -> None:
            raise AssertionError(tile.layer)

    q, k, v = torch.randn(4, 9, 8), torch.randn(2, 9, 8), torch.randn(2, 9, 8)
    window = CAUSAL if causal else KeyWindow()
    expected = attend(q, k, v, scale=0.3, window=window, observers=[Weights()])
    torch.testing.assert_close(attend(q, k, v, scale=0.3, window=window, observers=[Other()]), expected)
