"""The kernel against the plainest attention there is: one head, one query at a time, all keys, no tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention import kernel
from attnviz.attention.kernel import Observer, Tile, attend
from attnviz.attention.observers import HeadSums, Weights
from attnviz.attention.scores import Bias
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow

KEY_WINDOWS = st.one_of(
    st.just(EVERYTHING),
    st.just(CAUSAL),
    st.builds(KeyWindow, st.none() | st.integers(0, 12), st.none() | st.integers(0, 12)),
)


@dataclass(frozen=True)
class Case:
    heads: int
    groups: int
    queries: int
    keys: int
    size: int
    rows: int | None
    window: KeyWindow
    scale: float
    softcap: float | None
    biased: bool
    seed: int

    def inputs(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        shapes = ((self.heads, self.queries), (self.groups, self.keys), (self.groups, self.keys))
        q, k, v = (
            torch.randn(*shape, self.size, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes
        )
        return q, k, v

    @property
    def table(self) -> Tensor | None:
        """What is added to the scores, (H, N, M)."""
        if not self.biased:
            return None
        generator = torch.Generator().manual_seed(self.seed + 1)
        return torch.randn(self.heads, self.queries, self.keys, generator=generator, dtype=torch.float64)

    @property
    def bias(self) -> Bias | None:
        table = self.table
        return None if table is None else lambda at, to: table[:, at][:, :, to]

    def run(self, dtype: torch.dtype, *observers: kernel.Observer) -> Tensor:
        return attend(
            *self.inputs(dtype),
            scale=self.scale,
            window=self.window,
            bias=self.bias,
            softcap=self.softcap,
            layer=3,
            observers=observers,
            rows=self.rows,
        )

    def sees(self, query: int, key: int) -> bool:
        before = self.window.left is None or query - key <= self.window.left
        return before and (self.window.right is None or key - query <= self.window.right)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    groups, share, queries = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 11))
    window = draw(KEY_WINDOWS)
    return Case(
        heads=groups * share,
        groups=groups,
        queries=queries,
        keys=draw(st.integers(1, 11)) if window == EVERYTHING else queries,
        size=draw(st.integers(1, 5)),
        rows=draw(st.none() | st.integers(1, 12)),
        window=window,
        scale=draw(st.sampled_from([1.0, 0.5, -0.7, 2.0])),
        softcap=draw(st.none() | st.sampled_from([0.5, 3.0])),
        biased=draw(st.booleans()),
        seed=draw(st.integers(0, 1000)),
    )


def naive(case: Case, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights (H, N, M) and context (H, N, D) in float64, from the inputs rounded to ``dtype``."""
    q, k, v = (tensor.double() for tensor in case.inputs(dtype))
    table = case.table
    weights = torch.zeros(case.heads, case.queries, case.keys, dtype=torch.float64)
    context = torch.zeros(case.heads, case.queries, case.size, dtype=torch.float64)
    for h in range(case.heads):
        group = h // (case.heads // case.groups)
        for n in range(case.queries):
            scores = {}
            for m in range(case.keys):
                if case.sees(n, m):
                    score = float(q[h, n] @ k[group, m]) * case.scale
                    if case.softcap is not None:
                        score = case.softcap * math.tanh(score / case.softcap)
                    scores[m] = score + (0.0 if table is None else float(table[h, n, m]))
            total = sum(math.exp(score) for score in scores.values())
            for m, score in scores.items():
                weights[h, n, m] = math.exp(score) / total
                context[h, n] += weights[h, n, m] * v[group, m]
    return weights, context


TILES_THAT_DO_NOT_DIVIDE = Case(4, 2, 11, 11, 3, 4, KeyWindow(left=2, right=1), 0.5, 3.0, biased=True, seed=7)
WINDOW_OVER_BLOCKS = Case(2, 1, 250, 250, 1, 33, KeyWindow(left=70, right=5), 1.0, None, biased=False, seed=7)


class Shown(Observer):
    """Keeps the tiles as they were shown."""

    def __init__(self) -> None:
        self.tiles: list[Tile] = []

    def tile(self, tile: Tile) -> None:
        self.tiles.append(replace(tile, weights=tile.weights.clone()))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@settings(deadline=None, max_examples=120)
@example(case=TILES_THAT_DO_NOT_DIVIDE)
@given(case=cases())
def test_weights_and_context_are_those_of_the_naive_attention(dtype: torch.dtype, tolerance: float, case: Case) -> None:
    kept = Weights()
    context = case.run(dtype, kept)
    expected_weights, expected_context = naive(case, dtype)
    assert context.dtype == kept.stacked().dtype == dtype
    torch.testing.assert_close(kept.stacked()[0].double(), expected_weights, rtol=0, atol=tolerance)
    torch.testing.assert_close(context.double(), expected_context, rtol=0, atol=tolerance * 10)


@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_rows_sum_to_one(case: Case) -> None:
    kept = Weights()
    case.run(torch.float32, kept)
    rows = kept.stacked()[0].sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows), rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=80)
@example(case=TILES_THAT_DO_NOT_DIVIDE, bound=1)
@example(case=WINDOW_OVER_BLOCKS, bound=1)
@given(case=cases(), bound=st.sampled_from([1, 30, 100, 1 << 22]))
def test_tiles_hold_each_query_once_and_no_block_that_none_of_their_queries_sees(case: Case, bound: int) -> None:
    shown = Shown()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "TILE", bound)
        case.run(torch.float32, shown)
    places: list[tuple[int, int]] = []
    for tile in shown.tiles:
        h, n, m = tile.weights.shape
        assert (tile.layer, tile.shape) == (3, (case.heads, case.queries, case.keys))
        assert h % (case.heads // case.groups) == 0
        rows = range(tile.query, tile.query + n)
        visible = [key for key in range(case.keys) if any(case.sees(query, key) for query in rows)]
        assert tile.key == visible[0] // kernel._STEP * kernel._STEP
        assert tile.key + m == visible[-1] + 1
        places += [(head, query) for head in range(tile.head, tile.head + h) for query in rows]
        if case.rows is not None:
            assert n <= case.rows
    assert sorted(places) == [(head, query) for head in range(case.heads) for query in range(case.queries)]


@settings(deadline=None, max_examples=40)
@given(case=cases())
def test_bfloat16_inputs_have_float32_weights(case: Case) -> None:
    kept = Weights()
    context = case.run(torch.bfloat16, kept)
    assert kept.stacked().dtype == torch.float32
    assert context.dtype == torch.bfloat16
    expected_weights, expected_context = naive(case, torch.bfloat16)
    torch.testing.assert_close(kept.stacked()[0].double(), expected_weights, rtol=0, atol=1e-5)
    torch.testing.assert_close(context.double(), expected_context, rtol=0.02, atol=0.05)


def test_the_inputs_stay_as_they_were() -> None:
    q, k, v = TILES_THAT_DO_NOT_DIVIDE.inputs(torch.float32)
    before = q.clone(), k.clone(), v.clone()
    attend(q, k, v, scale=0.5, window=CAUSAL, softcap=2.0)
    assert all(torch.equal(now, then) for now, then in zip((q, k, v), before, strict=True))


def test_without_rows_a_tile_is_as_large_as_the_bound_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TILE", 100)
    case = Case(2, 1, 23, 17, 4, None, EVERYTHING, 0.5, None, biased=False, seed=1)
    shown, kept = Shown(), Weights()
    case.run(torch.float64, shown, kept)
    assert [tile.weights.numel() for tile in shown.tiles] == [68] * 11 + [34]  # two rows of 2 · 17, not three
    torch.testing.assert_close(kept.stacked()[0], naive(case, torch.float64)[0], rtol=0, atol=1e-12)


def test_one_row_is_a_tile_where_even_that_is_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TILE", 5)
    shown = Shown()
    Case(2, 2, 3, 17, 4, None, EVERYTHING, 0.5, None, biased=False, seed=1).run(torch.float32, shown)
    assert [tuple(tile.weights.shape) for tile in shown.tiles] == [(1, 1, 17)] * 6  # and of one head
    assert [(tile.head, tile.query) for tile in shown.tiles] == [
        (head, query) for head in range(2) for query in range(3)
    ]


def test_heads_that_share_their_keys_are_in_one_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TILE", 5)
    shown = Shown()
    Case(6, 2, 3, 17, 4, None, EVERYTHING, 0.5, None, biased=False, seed=1).run(torch.float32, shown)
    assert [(tile.head, len(tile.weights)) for tile in shown.tiles] == [(0, 3)] * 3 + [(3, 3)] * 3


def test_a_bias_is_asked_for_all_heads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TILE", 5)
    shown = Shown()
    Case(6, 2, 3, 17, 4, None, EVERYTHING, 0.5, None, biased=True, seed=1).run(torch.float32, shown)
    assert [tuple(tile.weights.shape) for tile in shown.tiles] == [(6, 1, 17)] * 3


def test_a_new_kind_of_observer_needs_nothing_from_the_kernel() -> None:
    class Received(Observer):
        """Sums what each key receives from all queries, (H, M), and never holds more."""

        def __init__(self) -> None:
            self.total = torch.zeros(0)

        def tile(self, tile: Tile) -> None:
            h, _, m = tile.weights.shape
            if not self.total.numel():
                self.total = torch.zeros(tile.shape[0], tile.shape[2], dtype=tile.weights.dtype)
            self.total[tile.head : tile.head + h, tile.key : tile.key + m] += tile.weights.sum(1)

    received = Received()
    TILES_THAT_DO_NOT_DIVIDE.run(torch.float64, received)
    expected = naive(TILES_THAT_DO_NOT_DIVIDE, torch.float64)[0].sum(1)
    torch.testing.assert_close(received.total, expected, rtol=0, atol=1e-12)


def test_all_observers_see_all_tiles() -> None:
    first, second = Shown(), Shown()
    TILES_THAT_DO_NOT_DIVIDE.run(torch.float32, first, second)
    assert len(first.tiles) == len(second.tiles) == 3
    assert all(torch.equal(a.weights, b.weights) for a, b in zip(first.tiles, second.tiles, strict=True))


def test_large_scores_do_not_overflow() -> None:
    q = torch.full((1, 1, 1), 1e4)
    k = torch.tensor([[[1e4], [1e4], [-1e4]]])
    kept = Weights()
    attend(q, k, torch.ones(1, 3, 1), scale=1.0, observers=[kept])
    assert kept.stacked()[0, 0, 0].tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize("damaged", ["q", "k", "v"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_shows_in_the_context_whoever_observes(damaged: str, value: float) -> None:
    parts = {name: torch.randn(2, 9, 4) for name in "qkv"}
    parts[damaged][..., 1] = value
    for observers in ([], [HeadSums()], [HeadSums(many=True)], [Weights()]):
        context = attend(**parts, scale=0.5, observers=observers)
        assert not context.isfinite().all(), observers
