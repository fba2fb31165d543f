"""Norms of values made of scores by the compiled pass, against their definition A · ‖f(x)‖ on all weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention.compiled import passes
from attnviz.attention.kernel import Observer, attend
from attnviz.attention.observers import HeadSums, LinkSelection, Received, RowShares, Units, ValueNorms, Weights
from attnviz.attention.texts import Texts
from attnviz.attention.values import Values
from attnviz.attention.window import CAUSAL, KeyWindow
from tests.attention.observers.naive import Case, cases
from tests.attention.observers.test_statistics import Plain, assert_figures

LONG = Case(6, 3, 500, 500, window=CAUSAL)
NEAR = Case(2, 1, 300, 300, window=KeyWindow(left=3, right=2))


class Seen:
    """What sees the norms of a layer; ``none`` of the keys has a value in the last head."""

    def __init__(self, case: Case, passages: tuple[int, ...] = (), *, none: slice | None = None) -> None:
        generator = torch.Generator().manual_seed(case.seed + 1)
        values = torch.randn(case.groups, case.keys, 4, generator=generator)
        values *= torch.exp(3 * torch.randn(1, case.keys, 1, generator=generator))  # norms from about 0.01 to 100
        if none is not None:
            values[-1, none] = 0
        self.values = Values(values, torch.randn(7, 4 * case.heads, generator=generator))
        texts = Texts.one(case.queries, case.keys, passages=passages)
        self.shares, self.received, self.weights = HeadSums(firsts=True), Received(texts), Weights()
        self.links = Units(range(case.queries), range(case.keys), links=LinkSelection(3))
        self.norms = ValueNorms([RowShares([self.shares]), self.received, self.links, self.weights])
        self.norms.see_values(5, "self", self.values)

    def assert_defined(self, case: Case, weights: Tensor, passages: tuple[int, ...] = ()) -> None:
        f = torch.stack([self.values.made(head).double().norm(dim=-1) for head in range(case.heads)])
        expected = weights * f[:, None]

        def assert_near(found: Tensor | np.ndarray, expected: Tensor) -> None:
            most = f.amax().item()
            torch.testing.assert_close(torch.as_tensor(found).double(), expected, rtol=2e-5, atol=1e-5 * most)

        assert_near(self.weights.layer(5), expected)
        total = expected.sum(-1, keepdim=True)
        every = torch.ones(case.queries, dtype=torch.bool)
        assert_figures(self.shares, case, expected / (total + (total == 0)), every, every)
        best = expected.topk(min(3, case.keys)).values
        assert_near(self.links.found[5].weights, best)
        assert_near(self.received.received()[0], expected.sum(1))
        others = expected.clone()
        for start, stop in zip(passages, [*passages[1:], case.queries], strict=False):
            others[:, start:stop, start:stop] = 0
        assert_near(self.received.received(others=True)[0], others.sum(1))


def watched(case: Case, seen: Seen, *observers: Observer) -> tuple[Tensor, int]:
    """The weights below the norms, and how many tiles the compiled pass has made shares of."""
    compiled: list[int] = []
    own = passes.weigh

    def weigh(*given: Any) -> None:
        compiled.append(1)
        own(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "weigh", weigh)
        return case.watch(seen.norms, *observers), len(compiled)


# Scores are rounded at their size: the shares of larger ones have fewer places than figures are held to.
@settings(deadline=None, max_examples=25)
@example(case=LONG)
@example(case=NEAR)
@example(case=Case(4, 2, 70, 1100, rows=9))
@example(case=replace(LONG, by_torch=True))
@given(case=cases().map(lambda case: replace(case, sinks=False, spread=min(case.spread, 3.0))))
def test_norms_made_of_scores_are_those_of_the_definition(case: Case) -> None:
    seen, plain = Seen(case), Seen(case)
    weights, compiled = watched(case, seen, Plain(plain.norms))
    assert bool(compiled) != case.by_torch
    for each in (seen, plain):
        each.assert_defined(case, weights)


@settings(deadline=None, max_examples=10)
@example(passages={100, 101, 300})
@given(passages=st.sets(st.integers(0, 499), max_size=8))
def test_received_is_what_queries_of_other_passages_give(passages: set[int]) -> None:
    edges = tuple(sorted(passages | {0}))
    for case in (LONG, replace(LONG, by_torch=True)):
        seen = Seen(case, edges)
        seen.assert_defined(case, watched(case, seen)[0], edges)


@pytest.mark.parametrize("none", [slice(3, 5), slice(0, 2), slice(None)], ids=["some keys", "the first", "all"])
def test_a_key_without_a_value_gives_nothing(none: slice) -> None:
    """A row of which no key gives anything stays zero."""
    seen, plain = Seen(LONG, none=none), Seen(LONG, none=none)
    weights, _ = watched(LONG, seen, Plain(plain.norms))
    for each in (seen, plain):
        assert not each.weights.layer(5)[-1, :, none].any()
        each.assert_defined(LONG, weights)


def test_a_sink_without_a_value_is_no_part_of_the_shares() -> None:
    case = replace(LONG, sinks=True)
    seen = Seen(case)
    seen.assert_defined(case, watched(case, seen)[0])


@pytest.mark.parametrize("many", [False, True], ids=["torch", "compiled"])
def test_a_sink_that_takes_all_leaves_no_shares(many: bool) -> None:
    sums, q = HeadSums(many=many), torch.ones(1, 5, 4)
    norms = ValueNorms([RowShares([sums])])
    norms.see_values(0, "self", Values(q, torch.ones(7, 4)))
    attend(q, q, q, scale=0.5, sinks=torch.tensor([500.0]), observers=[norms])
    assert not sums.received().any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norms_of_many_keys_are_those_of_the_vectors(dtype: torch.dtype) -> None:
    """W_O is decomposed where there are many keys; a head that writes in one direction, or nothing, is no exception."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 100, 4, generator=generator, dtype=dtype)
    output = torch.randn(9, 16, generator=generator, dtype=dtype)
    output[:, 4:8] = output[:, 4:5]
    output[:, 8:12] = 0
    found = Values(values, output)
    expected = torch.stack([found.made(head).norm(dim=-1) for head in range(4)])
    assert found.values.shape[1] > 2 * found.values.shape[2]
    np.testing.assert_allclose(found.norms(), expected, rtol=0, atol=1e-12 if dtype is torch.float64 else 1e-5)
    few = Values(values[:, :8], output)
    np.testing.assert_array_equal(few.norms(), expected[:, :8])
