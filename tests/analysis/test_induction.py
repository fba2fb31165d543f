"""Induction on random tokens that repeat: of heads that are known to do it, and against a sum by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2Model

from attnviz.analysis.corpus.induction import induction
from attnviz.attention.kernel import Observer
from attnviz.attention.observers import Weights
from attnviz.encoding import Encoding
from attnviz.interface import load
from tests import tiny

SHARP = 400.0


def inductive_gpt2(folder: Path) -> Path:
    """Two layers of one head: the first copies the token before, the second looks at copies of its own token.

    A hidden state has a place for each token, for each position and for each token before, and ones in these.
    """
    count, places = len(tiny.VOCABULARY), 104
    width = 2 * count + places
    token, position, before = (
        torch.eye(width)[part] for part in (slice(count), slice(count, -count), slice(-count, None))
    )
    config = GPT2Config(vocab_size=count, n_positions=places, n_embd=width, n_layer=2, n_head=1, n_inner=4)
    model = GPT2Model(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if ".ln_" in name and name.endswith("weight") else 0.0)
        model.wte.weight.copy_(token)
        model.wpe.weight.copy_(position)
        first, second = (block.attn for block in model.h)
        next_place = torch.roll(torch.eye(places), 1, 1)
        first.c_attn.weight[:, :width] = SHARP * position.T @ position
        first.c_attn.weight[:, width : 2 * width] = position.T @ next_place @ position
        first.c_attn.weight[:, 2 * width :] = token.T @ before
        first.c_proj.weight.copy_(torch.eye(width))
        second.c_attn.weight[:, :width] = SHARP * token.T @ before
        second.c_attn.weight[:, width : 2 * width] = before.T @ before
    model.save_pretrained(folder)
    tiny.wordpiece().save(str(folder / "tokenizer.json"))
    return folder


def test_a_head_of_induction_is_found(tmp_path: Path) -> None:
    model = load(inductive_gpt2(tmp_path))
    assert model.backend.name == "native"
    score = induction(model.backend, model.checkpoint.tokenizer)
    assert score is not None
    assert score.mean.shape == (2, 1)
    assert score.mean[0, 0] < 0.01
    assert score.mean[1, 0] > 0.99


class Reading:
    """A way that remembers what it has read."""

    def __init__(self, backend: object, limit: int | None) -> None:
        self.backend, self.limit, self.read = backend, limit, list[Encoding]()

    def __getattr__(self, name: str) -> object:
        return getattr(self.backend, name)

    def run(self, encoding: Encoding, observers: list[Observer], target: Encoding | None = None) -> object:
        self.read.append(encoding)
        return self.backend.run(encoding, observers, target)


@pytest.mark.parametrize(
    ("family", "limit", "period", "repeats"),
    [("llama", None, 25, 4), ("bert", 64, 25, 2), ("bert", 51, 25, 2), ("llama", 99, 25, 3), ("hosted", 23, 11, 2)],
)
def test_a_sum_by_hand(
    family: str, limit: int | None, period: int, repeats: int, request: pytest.FixtureRequest
) -> None:
    model = load(request.getfixturevalue(f"tiny_{family}"), dtype="float64")
    backend = Reading(model.backend, limit)
    score = induction(backend, model.checkpoint.tokenizer)
    assert len(backend.read) == 10
    assert len({encoding.ids for encoding in backend.read}) == 10
    total, count = np.zeros((3, 4)), 0
    for encoding in backend.read:
        cls, *ids = encoding.ids
        assert cls == 2
        assert encoding.special == (True, *(False,) * (period * repeats))
        assert tuple(ids) == tuple(ids[:period]) * repeats
        assert len(set(ids)) == period
        kept = Weights()
        model.backend.run(encoding, [kept])
        weights = kept.stacked().numpy()
        for i in range(1, len(encoding)):
            keys = [i - period * k + 1 for k in range(1, repeats) if i - period * k >= 1]
            assert all(encoding.ids[key - 1] == encoding.ids[i] for key in keys)
            if keys:
                total += weights[:, :, i, keys].sum(-1)
                count += 1
    np.testing.assert_allclose(score.mean, total / count, rtol=1e-10)
    again, other = (induction(Reading(model.backend, limit), model.checkpoint.tokenizer, seed=seed) for seed in (0, 1))
    assert (again.mean == score.mean).all()
    assert (again.mean != other.mean).any()


def test_tokens_are_neither_the_commonest_nor_the_rarest(tiny_llama: Path) -> None:
    model = load(tiny_llama)
    backend = Reading(model.backend, None)
    induction(backend, model.checkpoint.tokenizer)
    chosen = {number for encoding in backend.read for number in encoding.ids[1:]}
    first, last, words = 5, len(tiny.VOCABULARY), len(tiny.VOCABULARY) - 5
    assert min(chosen) >= first + words // 10
    assert max(chosen) < last - words // 10
    assert len(chosen) > 60


def test_models_that_take_too_few_tokens_have_none(tiny_bert: Path) -> None:
    model = load(tiny_bert)
    tokenizer = model.checkpoint.tokenizer
    assert induction(Reading(model.backend, 10), tokenizer) is None
    found = induction(Reading(model.backend, 11), tokenizer)
    assert found is not None
    assert found.mean.shape == (3, 4)


def test_of_an_encoder_decoder_the_encoder_reads(tiny_t5: Path) -> None:
    model = load(tiny_t5)
    found = induction(model.backend, model.checkpoint.tokenizer)
    assert found is not None
    assert found.mean.shape == (3, 4)
