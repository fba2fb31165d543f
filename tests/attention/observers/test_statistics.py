"""Figures of heads and what keys receive, against the same numbers from the full weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention.kernel import Observer, Tile, attend
from attnviz.attention.observers import HeadStats, Received
from attnviz.attention.window import CAUSAL, KeyWindow
from tests.attention.observers.naive import Case, cases, entropy_of, means, profile_of

LONG = Case(2, 1, 1100, 1100, window=CAUSAL)
NEAR = Case(1, 1, 1100, 1100, window=KeyWindow(left=3, right=2))
TWO_TEXTS = Case(4, 2, 70, 1100, rows=9)
MORE_QUERIES = Case(4, 2, 300, 7, rows=9)
TAKEN = Case(2, 1, 40, 40, spread=150.0, sinks=True)

# A weight is rounded to float32 (6e-8), and sums of some hundred such to a few times that.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
# Sums of 64 places up to 63, each rounded: what cancels, as in signed distances, leaves some steps of 64 (7.6e-6).
DISTANCE = {"rtol": 1e-5, "atol": 4 * 64 * 1.2e-7}


class Unscored(Observer):
    """Hands tiles on as one sees them who asked for no scores."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def tile(self, tile: Tile) -> None:
        self.observer.tile(replace(tile, scores=None))


def assert_offsets(figures: dict[str, np.ndarray], weights: Tensor, counting: Tensor) -> None:
    """The offset is where most queries look most; where a query has equal weights, any of them may be the largest."""
    for h, rows in enumerate(weights):
        largest = rows == rows.amax(-1, keepdim=True)
        sole = largest & (largest.sum(-1, keepdim=True) == 1)
        possible, certain = _counts(largest & counting[:, None]), _counts(sole & counting[:, None])
        at, share = int(figures["offset"][0, h]), figures["offset_share"][0, h] * int(counting.sum())
        assert certain.get(at, 0) - 1e-9 <= share <= possible.get(at, 0) + 1e-9
        assert share >= max(certain.values(), default=0) - 1e-9


def _counts(largest: Tensor) -> dict[int, int]:
    """How many queries have their largest weight at each offset, key − query."""
    queries, keys = torch.nonzero(largest, as_tuple=True)
    offsets, counts = (keys - queries).unique(return_counts=True)
    return dict(zip(offsets.tolist(), counts.tolist(), strict=True))


def assert_figures(stats: HeadStats, case: Case, weights: Tensor, counting: Tensor) -> None:
    figures = stats.figures
    for name, rows in means(weights, case.visible).items():
        expected = rows[:, counting].nanmean(-1).nan_to_num()
        close = DISTANCE if "distance" in name else CLOSE
        torch.testing.assert_close(torch.from_numpy(figures[name][0]), expected, **close, msg=lambda m, n=name: n + m)
    profile = profile_of(weights)[:, counting].sum(1) / max(1, int(counting.sum()))
    torch.testing.assert_close(torch.from_numpy(figures["profile"][0]), profile, **CLOSE)
    assert_offsets(figures, weights, counting)


@settings(deadline=None, max_examples=45)
@example(case=LONG)
@example(case=NEAR)
@example(case=TWO_TEXTS)
@example(case=MORE_QUERIES)
@example(case=TAKEN)
@example(case=Case(2, 1, 1, 1))
@example(case=Case(2, 1, 1, 300))
@example(case=replace(NEAR, dtype=torch.float64, spread=150.0))
@given(case=cases(dtypes=(torch.float32, torch.float64, torch.bfloat16)))
def test_figures_of_heads(case: Case) -> None:
    stats, without_scores = HeadStats(), HeadStats()
    weights = case.watch(stats, Unscored(without_scores))
    assert stats.layers() == (5,)
    for each in (stats, without_scores):
        assert_figures(each, case, weights, torch.ones(case.queries, dtype=torch.bool))


@settings(deadline=None, max_examples=30)
@example(case=LONG, share=0.01)
@example(case=LONG, share=0.0)
@given(case=cases(), share=st.sampled_from([0.0, 0.1, 0.7]))
def test_figures_of_the_queries_that_count_and_shares_of_sets(case: Case, share: float) -> None:
    generator = np.random.default_rng(case.seed)
    counting = generator.random(case.queries) < share
    sets = {
        "some": generator.random(case.keys) < 0.3,
        "none": np.zeros(case.keys, bool),
        "all": np.ones(case.keys, bool),
    }
    stats = HeadStats(sets, counting)
    weights = case.watch(stats)
    assert_figures(stats, case, weights, torch.from_numpy(counting))
    for name, members in sets.items():
        shares = weights[:, counting][..., members].sum((1, 2)) / max(1, counting.sum())
        torch.testing.assert_close(torch.from_numpy(stats.figures[name][0]), shares, **CLOSE)


@settings(deadline=None, max_examples=25)
@example(case=LONG)
@given(case=cases())
def test_figures_of_each_query(case: Case) -> None:
    stats = HeadStats(per_query=True)
    weights = case.watch(stats)
    rows, expected = stats.queries(5), means(weights, case.visible)
    assert rows.keys() == {"entropy", "distance", "largest"}
    for name, found in rows.items():
        torch.testing.assert_close(found.double(), expected[name], **(DISTANCE if name == "distance" else CLOSE))


def test_several_layers_are_apart() -> None:
    stats, cases_ = HeadStats(), (Case(2, 1, 30, 30, seed=1), Case(2, 1, 30, 30, seed=2))

    class Numbered(Observer):
        shares, layer = True, 0

        def tile(self, tile: Tile) -> None:
            stats.tile(replace(tile, layer=self.layer))

    numbered = Numbered()
    expected = []
    for numbered.layer, case in enumerate(cases_):
        expected.append(entropy_of(case.watch(numbered)).mean(-1))
    assert stats.layers() == (0, 1)
    torch.testing.assert_close(torch.from_numpy(stats.figures["entropy"]), torch.stack(expected), **CLOSE)


def test_a_sink_that_takes_all_leaves_no_entropy() -> None:
    """Weights that are all 0 have a largest one whose logarithm is none."""
    stats, q = HeadStats(), torch.ones(1, 5, 4)
    attend(q, q, q, scale=0.5, sinks=torch.tensor([500.0]), observers=[stats])
    assert all(not figure.any() for name, figure in stats.figures.items() if "offset" not in name)


@st.composite
def cuts(draw: st.DrawFn, length: int) -> tuple[int, ...]:
    """First tokens of passages: of each token, of the whole, or anywhere."""
    some = st.sets(st.integers(0, length - 1), max_size=8).map(lambda found: tuple(sorted(found | {0})))
    return draw(some | st.just(tuple(range(length)) if length < 40 else (0,)) | st.just((0,)) | st.just(()))


@settings(deadline=None, max_examples=30)
@example(case=LONG, data=None)
@example(case=TWO_TEXTS, data=None)
@given(case=cases(), data=st.data())
def test_received_is_what_all_queries_give_but_those_of_the_same_passage(
    case: Case, data: st.DataObject | None
) -> None:
    one_text = case.queries == case.keys
    passages = () if not one_text else (0, 100, 101, 700) if data is None else data.draw(cuts(case.queries))
    received = Received(passages)
    weights = case.watch(received)
    expected = weights.clone()
    for start, stop in zip(passages, [*passages[1:], case.queries], strict=False):
        expected[:, start:stop, start:stop] = 0
    assert received.layers() == (5,)
    assert received.layer(5).shape == (case.heads, case.keys)
    # Each of N weights is rounded to float32.
    torch.testing.assert_close(received.layer(5), expected.sum(1), rtol=1e-5, atol=1e-6)
