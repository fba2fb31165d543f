"""Figures of heads and what keys receive, against the same numbers from the full weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention.kernel import Observer, Tile, attend
from attnviz.attention.observers import HeadSums, LinkSelection, Units
from attnviz.attention.texts import Texts, earlier_tokens
from attnviz.attention.window import CAUSAL, KeyWindow
from tests.attention.observers.naive import Case, cases, entropy_of, means, places_apart, profile_of, sink_of

LONG = Case(2, 1, 1100, 1100, window=CAUSAL)
NEAR = Case(1, 1, 1100, 1100, window=KeyWindow(left=3, right=2))
TWO_TEXTS = Case(4, 2, 70, 1100, rows=9)
MORE_QUERIES = Case(4, 2, 300, 7, rows=9)
TAKEN = Case(2, 1, 40, 40, spread=150.0, sinks=True)

# A weight is rounded to float32 (6e-8), and sums of some hundred such to a few times that.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
# Sums of 64 places up to 63, each rounded: what cancels, as in signed distances, leaves some steps of 64 (7.6e-6).
DISTANCE = {"rtol": 1e-5, "atol": 4 * 64 * 1.2e-7}


class Plain(Observer):
    """Shows an observer tiles as a replay does: one after the other, and no scores."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def tile(self, tile: Tile) -> None:
        self.observer.tile(tile)


def assert_offsets(figures: dict[str, np.ndarray], weights: Tensor, telling: Tensor) -> None:
    """The offset is where most queries look most; where a query has equal weights, any of them may be the largest."""
    for h, rows in enumerate(weights):
        largest = rows == rows.amax(-1, keepdim=True)
        sole = largest & (largest.sum(-1, keepdim=True) == 1)
        possible, certain = _counts(largest & telling[:, None]), _counts(sole & telling[:, None])
        at, share = figures["offset"][0, h], figures["offset_share"][0, h] * int(telling.sum())
        if not telling.any():
            assert np.isnan(at)
            continue
        assert certain.get(int(at), 0) - 1e-9 <= share <= possible.get(int(at), 0) + 1e-9
        assert share >= max(certain.values(), default=0) - 1e-9


def _counts(largest: Tensor) -> dict[int, int]:
    """How many queries have their largest weight at each offset, key − query."""
    queries, keys = torch.nonzero(largest, as_tuple=True)
    offsets, counts = (keys - queries).unique(return_counts=True)
    return dict(zip(offsets.tolist(), counts.tolist(), strict=True))


def close(found: np.ndarray, expected: Tensor, name: str) -> None:
    same = DISTANCE if "distance" in name else CLOSE
    torch.testing.assert_close(
        torch.from_numpy(found), expected.double(), equal_nan=True, msg=lambda m: f"{name}: {m}", **same
    )


def assert_figures(sums: HeadSums, case: Case, weights: Tensor, counting: Tensor, telling: Tensor) -> None:
    figures = sums.figures
    for name, rows in means(weights, case.visible).items():
        close(figures[name][0], rows[:, counting].nanmean(-1), name)
    received = (weights * counting[:, None]).sum(1)
    close(sums.received()[0], received, "received")
    close(figures["received"][0], received.amax(-1), "received")
    causal = case.window.right == 0
    close(figures["sink"][0], sink_of(weights, counting, causal=causal), "sink")
    profile = profile_of(weights)[:, counting].sum(1) / max(1, int(counting.sum()))
    torch.testing.assert_close(torch.from_numpy(sums.profile[0]), profile, **CLOSE)
    assert_offsets(figures, weights, telling)


@settings(deadline=None, max_examples=25)
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
    sums, plain = HeadSums(firsts=True), HeadSums(firsts=True)
    weights = case.watch(sums, Plain(plain))
    assert sums.layers == (5,)
    all_ = torch.ones(case.queries, dtype=torch.bool)
    for each in (sums, plain):
        assert_figures(each, case, weights, all_, all_)


@settings(deadline=None, max_examples=25)
@example(case=LONG, share=0.01, tail=5)
@example(case=LONG, share=0.0, tail=0)
@example(case=replace(NEAR, rows=7), share=0.7, tail=30)
@given(case=cases(), share=st.sampled_from([0.0, 0.1, 0.7, 1.0]), tail=st.integers(0, 40))
def test_figures_of_what_counts(case: Case, share: float, tail: int) -> None:
    """Queries that count, that tell, sets of keys, special tokens behind the text, tokens of the same id."""
    case = replace(case, keys=case.queries)
    generator, n = np.random.default_rng(case.seed), case.keys
    counting, telling = generator.random(n) < share, generator.random(n) < 0.5
    sets = {"some": generator.random(n) < 0.3, "none": np.zeros(n, bool), "all": np.ones(n, bool)}
    stop, ids = max(1, n - tail), generator.integers(0, 20, n)
    sums = HeadSums(
        Texts.one(
            n,
            counting=counting,
            telling=telling,
            stop=stop,
            sets=sets,
            before=np.array(earlier_tokens(ids.tolist())),
            causal=case.window.right == 0,
        ),
        firsts=True,
    )
    weights, counted = case.watch(sums), torch.from_numpy(counting)
    assert_figures(sums, case, weights, counted, torch.from_numpy(telling))
    for name, members in sets.items():
        shares = weights[:, counting][..., members].sum(-1).mean(-1)
        close(sums.figures[name][0], shares if members.any() else shares * torch.nan, name)
    inside = counted & (torch.arange(n) < stop)
    close(sums.figures["confidence"][0], weights[:, inside][..., :stop].amax(-1).mean(-1), "confidence")
    same = torch.from_numpy(ids[:, None] == ids) & (places_apart(n, n) > 0)
    rows = counted & same.any(-1)
    close(sums.figures["duplicate"][0], (weights * same).sum(-1)[:, rows].mean(-1), "duplicate")


def test_several_layers_are_apart() -> None:
    sums, cases_ = HeadSums(), (Case(2, 1, 30, 30, seed=1), Case(2, 1, 30, 30, seed=2))

    class Numbered(Observer):
        layer = 0

        def tile(self, tile: Tile) -> None:
            sums.tile(replace(tile, layer=self.layer))

    numbered = Numbered()
    expected = []
    for numbered.layer, case in enumerate(cases_):
        expected.append(entropy_of(case.watch(numbered)).mean(-1))
    assert sums.layers == (0, 1)
    torch.testing.assert_close(torch.from_numpy(sums.figures["entropy"]), torch.stack(expected), **CLOSE)


def test_torch_adds_up_what_is_not_compiled_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("statistics", "reading_tasks"):
        monkeypatch.setattr(f"attnviz.attention.observers.{module}.run_loop", lambda *_, **__: False)
    case = Case(6, 3, 203, 203, window=CAUSAL, sinks=True)
    sums, units, every = HeadSums(firsts=True), Units(range(203), range(203), links=LinkSelection(3)), torch.ones(203)
    weights = case.watch(sums, units)
    assert_figures(sums, case, weights, every.bool(), every.bool())
    links = torch.from_numpy(units.found[5].weights).double()
    torch.testing.assert_close(links, weights.topk(3).values, **CLOSE)


@pytest.mark.parametrize("many", [False, True], ids=["torch", "compiled"])
def test_a_sink_that_takes_all_leaves_no_entropy(many: bool) -> None:
    """Weights that are all 0 have a largest one whose logarithm is none."""
    sums, q = HeadSums(many=many), torch.ones(1, 5, 4)
    attend(q, q, q, scale=0.5, sinks=torch.tensor([500.0]), observers=[sums])
    none: dict[str, Any] = {name: figure for name, figure in sums.figures.items() if "offset" not in name}
    assert all(not np.nan_to_num(figure).any() for figure in none.values())


@st.composite
def cuts(draw: st.DrawFn, length: int) -> tuple[int, ...]:
    """First tokens of passages: of each token, of the whole, or anywhere."""
    some = st.sets(st.integers(0, length - 1), max_size=8).map(lambda found: tuple(sorted(found | {0})))
    return draw(some | st.just(tuple(range(length)) if length < 40 else (0,)) | st.just((0,)) | st.just(()))


@settings(deadline=None, max_examples=15)
@example(case=LONG, data=None)
@given(case=cases(), data=st.data())
def test_received_is_what_all_queries_give_but_those_of_the_same_passage(
    case: Case, data: st.DataObject | None
) -> None:
    case = replace(case, keys=case.queries)
    passages = (0, 100, 101, 700) if data is None else data.draw(cuts(case.queries))
    sums = HeadSums(Texts.one(case.queries, passages=passages))
    expected = case.watch(sums).clone()
    for start, stop in zip(passages, [*passages[1:], case.queries], strict=False):
        expected[:, start:stop, start:stop] = 0
    # Each of N weights is rounded to float32.
    found = torch.from_numpy(sums.received(others=True)[0])
    torch.testing.assert_close(found, expected.sum(1), rtol=1e-5, atol=3e-6)
