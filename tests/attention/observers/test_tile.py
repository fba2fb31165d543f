"""What tiles give their observers beside their weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from attnviz.attention import tile
from attnviz.attention.kernel import BLOCK, Observer, Tile
from tests.attention.observers.naive import Case, cases


class Checking(Observer):
    """Compares what a tile gives with its weights, and keeps the entropies, (H, N)."""

    def __init__(self, *, shares: bool) -> None:
        self.shares = shares
        self.entropy = torch.zeros(0)

    def tile(self, tile: Tile) -> None:
        """Compare, block by block."""
        blocks = tile.weights.split(BLOCK, dim=-1)
        torch.testing.assert_close(tile.peaks, torch.stack([block.amax(-1) for block in blocks], dim=-1))
        sums = torch.stack([block.double().sum(-1) for block in blocks], dim=-1)
        torch.testing.assert_close(tile.sums.double(), sums, rtol=1e-5, atol=1e-6)
        h, n, _ = tile.weights.shape
        if not self.entropy.numel():
            self.entropy = torch.full(tile.shape[:2], torch.nan)
        self.entropy[tile.head : tile.head + h, tile.query : tile.query + n] = tile.entropy
        assert tile.entropy is tile.entropy  # it is computed once: its scores are used up


@settings(deadline=None, max_examples=30)
@given(case=cases(dtypes=(torch.float32, torch.bfloat16)))
def test_peaks_sums_and_entropy_are_those_of_the_weights(case: Case) -> None:
    plain = Checking(shares=False)
    expected = torch.special.entr(case.watch(plain)).sum(-1)
    torch.testing.assert_close(plain.entropy.double(), expected, rtol=1e-5, atol=1e-6)
    scored = Checking(shares=True)
    case.watch(scored)
    torch.testing.assert_close(scored.entropy.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("error", [ImportError("no numba"), RuntimeError("no locator available for its cache")])
def test_torch_computes_where_the_compiled_loops_can_not_be_had(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr("importlib.import_module", fail)
    assert tile._loops.__wrapped__() is None
