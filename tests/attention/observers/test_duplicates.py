"""What earlier tokens of the same id get, and the largest weights without the text's end, against the full weights."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attnviz.attention.observers import Confidence, DuplicateTokens
from attnviz.attention.window import CAUSAL, KeyWindow
from tests.attention.observers.naive import Case, cases

LONG = Case(2, 1, 1100, 1100, window=CAUSAL)
WINDOW = Case(4, 2, 700, 700, window=KeyWindow(left=90, right=90), rows=53)
# Each weight is rounded to float32, and their sums are of 64 bits.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}

one_text = cases(dtypes=(torch.float32, torch.float64)).filter(lambda case: case.queries == case.keys)


@settings(deadline=None, max_examples=40)
@example(case=LONG, kinds=300, share=1.0)
@example(case=LONG, kinds=1, share=0.5)
@example(case=WINDOW, kinds=20, share=1.0)
@example(case=Case(2, 1, 1, 1), kinds=1, share=1.0)
@given(case=one_text, kinds=st.sampled_from([1, 4, 50, 10**9]), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_weight_on_earlier_tokens_of_the_same_id(case: Case, kinds: int, share: float) -> None:
    generator = np.random.default_rng(case.seed)
    ids = generator.integers(kinds, size=case.queries)
    counting = generator.random(case.queries) < share
    kept = DuplicateTokens(tuple(ids.tolist()), None if share == 1 else counting)
    weights = case.watch(kept)
    same = torch.from_numpy((ids[:, None] == ids) & (np.tri(case.queries, k=-1) > 0) & counting[:, None])
    assert kept.layers() == (5,)
    assert kept.count == int(same.any(1).sum())
    torch.testing.assert_close(kept.layer(5), (weights * same).sum((1, 2)), **CLOSE)


@settings(deadline=None, max_examples=40)
@example(case=LONG, end=1, share=1.0)
@example(case=LONG, end=77, share=0.5)
@example(case=WINDOW, end=64, share=1.0)
@example(case=Case(2, 1, 64, 64), end=0, share=1.0)
@given(case=one_text, end=st.sampled_from([0, 1, 2, 70]), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_confidence_without_the_end_of_the_text(case: Case, end: int, share: float) -> None:
    counting = np.random.default_rng(case.seed).random(case.queries) < share
    stop = max(1, case.queries - end)
    kept = Confidence(stop, None if share == 1 else counting)
    weights = case.watch(kept)
    counting[stop:] = False
    assert kept.layers() == (5,)
    assert kept.count == counting.sum()
    torch.testing.assert_close(kept.layer(5), weights[:, counting, :stop].amax(-1).sum(-1), **CLOSE)
