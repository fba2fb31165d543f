"""LongT5: its encoder attends in blocks in transformers, which hands in no matrix; the check makes one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import attnviz
from attnviz.checkpoint import open_checkpoint
from attnviz.model.check.references import _in_parts
from attnviz.model.overview import overview
from tests import tiny
from tests.model.parity import make
from tests.model.variants.longt5 import longt5

SENTENCE = "The bank approved the loan."


def saved(folder: Path, model: str, **config: Any) -> Path:
    sizes = {"vocab_size": len(tiny.VOCABULARY), "num_layers": 1, "num_heads": 2, "local_radius": 20}
    target = None if model.endswith("EncoderModel") else (0,)
    return tiny.save(folder, make(longt5(model, target, **(sizes | config)), torch.float32), scale=0.25)


@pytest.mark.parametrize("model", ["LongT5EncoderModel", "LongT5ForConditionalGeneration"])
def test_a_long_text_is_checked(model: str, tmp_path: Path) -> None:
    mine = attnviz.load(saved(tmp_path, model))
    assert mine.backend.name == "native"
    text = " ".join([SENTENCE] * 120)
    target = None if mine.backend.kinds == ("self",) else SENTENCE
    found = mine.observe(text, target=target, **({"map": "encoder"} if target else {}))
    assert len(found.encoding) > 700
    assert mine.check_record(found).passed
    assert mine.check(SENTENCE, target=target).passed


def test_sums_of_blocks_beside_the_text_take_a_share(tmp_path: Path) -> None:
    """With transient-global attention the model's own weights are shown, and the reason and the rest are said."""
    shape = {"encoder_attention_type": "transient-global", "global_block_size": 4, "local_radius": 3}
    folder = saved(tmp_path, "LongT5ForConditionalGeneration", **shape)
    planned = overview(open_checkpoint(folder))
    assert planned.backend == "observed"
    assert "attend beside the text to what blocks of 4 tokens add up to" in planned.reason
    found = attnviz.load(folder).attend(" ".join([SENTENCE] * 3), target=SENTENCE).encoder
    assert found.note.startswith("transient-global attention: up to 3 tokens away, 0 beyond")
    at, sums = torch.arange(len(found.encoding)), torch.from_numpy(found.weights).sum(-1)
    far = (at[:, None] - at).abs() > 3
    assert float(torch.from_numpy(found.weights)[..., far].max()) == 0
    assert 0 < float(sums.min()) < 0.99
    assert float(sums.max()) <= 1 + 1e-5


@pytest.mark.parametrize("heads", [0, 1, 3])
@pytest.mark.parametrize("radius", [0, 5, 100])
def test_keys_that_no_query_sees_are_left_out(radius: int, heads: int) -> None:
    at = torch.arange(100)
    weights = torch.rand(heads, 100, 100).clamp(min=0.1) * ((at[:, None] - at).abs() <= radius)
    parts, again = [*_in_parts(weights, 300)], torch.zeros_like(weights)
    for query, key, part in parts:
        again[:, query : query + part.shape[1], key : key + part.shape[2]] += part
    assert torch.equal(again, weights)
    read = sum(part.numel() for _, _, part in parts)
    assert read <= heads * 100 * min(100, 2 * radius + 1 + max((part.shape[1] for _, _, part in parts), default=0))
    assert all(part.numel() <= 300 or part.shape[1] == 1 for _, _, part in parts)


def test_a_query_that_sees_nothing_has_a_part() -> None:
    parts = [*_in_parts(torch.zeros(2, 5, 7), 1000)]
    assert sum(part.shape[1] for _, _, part in parts) == 5
