"""What a mask shows is read exactly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.masking_utils import (
    causal_mask_function,
    chunked_causal_mask_function,
    eager_mask,
    sliding_window_bidirectional_mask_function,
    sliding_window_causal_mask_function,
)

from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.model.hosted import masks
from attnviz.model.hosted.masks import BandMask, Visibility, mask, visibility_of_mask, visibility_of_rows


def band(queries: int, keys: int, window: KeyWindow) -> Tensor:
    ahead = torch.arange(keys)[None, :] - torch.arange(queries)[:, None]
    shown = torch.ones_like(ahead, dtype=torch.bool)
    if window.right is not None:
        shown &= ahead <= window.right
    if window.left is not None:
        shown &= ahead >= -window.left
    return shown


@pytest.mark.parametrize("tile", [1, 20, 1 << 22])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (6, 6), (4, 7), (7, 4)])
def test_every_band_is_read_as_what_it_shows(
    queries: int, keys: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masks, "_TILE", tile)
    for behind in (None, 0, 1, 3, 9):
        for ahead in (None, 0, 1, 3, 9):
            shown = band(queries, keys, KeyWindow(behind, ahead))
            sight = visibility_of_rows(lambda start, stop, shown=shown: shown[start:stop], queries, keys)
            assert sight.causal == (not shown.triu(1).any())
            if shown.any(-1).all():
                assert sight.window is not None
                assert torch.equal(band(queries, keys, sight.window), shown)


def test_no_other_mask_is_read_as_a_band() -> None:
    generator = torch.Generator().manual_seed(0)
    bands = 0
    for _ in range(500):
        shown = torch.rand(4, 4, generator=generator) < 0.8
        window = visibility_of_rows(lambda start, stop, shown=shown: shown[start:stop], 4, 4).window
        bands += window is not None
        assert window is None or torch.equal(band(4, 4, window), shown)
    assert 0 < bands < 250


def test_real_masks() -> None:
    causal = band(5, 5, KeyWindow(right=0))[None]
    low = torch.finfo(torch.float32).min
    adds = torch.zeros(1, 5, 5).masked_fill(~causal, low)
    by_head = torch.cat((causal, band(5, 5, KeyWindow(left=1, right=0))[None]))
    assert visibility_of_mask(causal) == visibility_of_mask(adds) == Visibility(KeyWindow(right=0), causal=True)
    assert visibility_of_mask(torch.zeros(1, 5, 5)) == Visibility(EVERYTHING, causal=False)
    assert visibility_of_mask(adds + 0.5) == Visibility(None, causal=True)
    assert visibility_of_mask(by_head) == Visibility(None, causal=True)


def asked(**facts: Any) -> dict[str, Any]:
    usual = {"batch_size": 1, "q_length": 9, "kv_length": 9, "dtype": torch.float32, "device": "cpu"}
    return usual | {"attention_mask": torch.ones(1, 9, dtype=torch.bool)} | facts


@pytest.mark.parametrize(
    ("function", "sight"),
    [
        (causal_mask_function, Visibility(KeyWindow(right=0), causal=True)),
        (sliding_window_causal_mask_function(4), Visibility(KeyWindow(left=3, right=0), causal=True)),
        (sliding_window_bidirectional_mask_function(2), Visibility(KeyWindow(left=2, right=2), causal=False)),
    ],
)
def test_masks_of_transformers_that_are_bands(function: Any, sight: Visibility) -> None:
    facts = asked(mask_function=function)
    found = mask(**facts)
    assert isinstance(found, BandMask)
    assert found.sight == sight
    real = eager_mask(**facts)
    assert (found.shape, found.dtype, found.device) == (real.shape, real.dtype, real.device)
    assert torch.equal(found + 0, real)
    assert torch.equal(found[:, :, 3:, :5], real[:, :, 3:, :5])
    assert torch.equal(torch.where(found == 0, 1.0, found), torch.where(real == 0, 1.0, real))


def test_masks_of_transformers_that_are_none() -> None:
    chunks = asked(mask_function=chunked_causal_mask_function(4, torch.zeros(1, dtype=torch.long)))
    holes = asked(mask_function=causal_mask_function, attention_mask=torch.arange(9)[None] != 3)
    for facts in (chunks, holes):
        assert type(mask(**facts)) is Tensor
        assert torch.equal(mask(**facts), eager_mask(**facts))  # type: ignore[arg-type]


def test_a_mask_that_hides_nothing_may_be_left_out() -> None:
    from transformers.masking_utils import bidirectional_mask_function

    facts = asked(mask_function=bidirectional_mask_function)
    assert mask(**facts, allow_is_bidirectional_skip=True) is None
    assert isinstance(mask(**facts), BandMask)
