"""The scores that are kept are what the weights are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attnviz.attention.observers import Scores
from attnviz.interface import Attention, EncoderDecoder, load
from tests import tiny

TEXT = "the bank approved the loan"


def agree(scores: Scores, attention: Attention) -> None:
    """The softmax of the scores of what is seen is the weights."""
    found = scores.stacked(attention.kind).double().numpy()
    shown = np.where(attention.weights > 0, found, -np.inf)
    made = torch.softmax(torch.from_numpy(shown), -1).numpy()
    np.testing.assert_allclose(made, attention.weights, atol=1e-5)


@pytest.mark.parametrize("save", [tiny.bert, tiny.llama, tiny.mistral, tiny.mixtral])
def test_weights_are_the_softmax_of_the_scores(save: tiny.Saver, tmp_path: Path) -> None:
    scores = Scores()
    attention = load(save(tmp_path / "model")).attend(TEXT, observers=[scores])
    agree(scores, attention)
    assert list(scores.scales.values()) == [pytest.approx(8**-0.5)] * 3


def test_scores_of_what_a_model_wrote_are_kept(tiny_llama: Path) -> None:
    scores = Scores()
    agree(scores, load(tiny_llama).attend(TEXT, generate=3, observers=[scores]))


def test_where_positions_change_the_products_no_scale_is_said(tiny_t5: Path) -> None:
    scores = Scores()
    found = load(tiny_t5).attend(TEXT, target="the river", observers=[scores])
    assert isinstance(found, EncoderDecoder)
    for each in (found.encoder, found.decoder, found.cross):
        agree(scores, each)
    assert scores.scales["encoder", 0] is None
    assert scores.scales["cross", 0] is not None


def test_of_a_longer_text_no_scores_are_kept(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scores, "MOST", 100)
    scores = Scores()
    load(tiny_bert).attend(TEXT, observers=[scores])
    assert not scores.scales
    assert not scores.layers()
