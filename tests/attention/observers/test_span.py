"""Sums over queries that stand together, against the same numbers from the full weights."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attnviz.attention.observers import SpanSums
from attnviz.attention.observers.span import FIGURES
from attnviz.attention.window import CAUSAL, KeyWindow
from tests.attention.observers.naive import Case, cases, means
from tests.attention.observers.test_statistics import CLOSE, DISTANCE

LONG = Case(2, 1, 1100, 1100, window=CAUSAL)
WINDOW = Case(2, 2, 900, 900, window=KeyWindow(left=70, right=0), rows=7)


@settings(deadline=None, max_examples=40)
@example(case=LONG, share=(0.3, 0.31))
@example(case=LONG, share=(0.0, 1.0))
@example(case=WINDOW, share=(0.1, 0.9))
@example(case=Case(2, 1, 1, 1), share=(0.0, 1.0))
@given(case=cases(dtypes=(torch.float32, torch.float64)), share=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
def test_figures_and_what_keys_receive(case: Case, share: tuple[float, float]) -> None:
    case = replace(case, keys=case.queries)
    start = min(int(share[0] * case.queries), case.queries - 1)
    stop = max(int(share[1] * case.queries), start + 1)
    seen = SpanSums(start, stop)
    weights = case.watch(seen)
    assert seen.layers() == (5,)
    found = means(weights, case.visible)
    for i, (name, count) in enumerate(zip(FIGURES, seen.counts(case.keys), strict=True)):
        rows = found[name][:, start:stop]
        assert count == int((~rows[0].isnan()).sum())
        if count:
            close = DISTANCE if "distance" in name else CLOSE
            torch.testing.assert_close(seen.sums(5)[:, i] / count, rows.nanmean(-1), **close)
    rows = weights[:, start:stop]
    torch.testing.assert_close(seen.received(5), rows.sum(1), rtol=1e-5, atol=1e-5)
    at = torch.arange(start, stop) + seen.offsets(5)
    assert torch.equal(rows.gather(-1, at[..., None])[..., 0], rows.amax(-1))
