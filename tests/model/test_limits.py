"""Texts that can't be run are refused before they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnviz.attention import memory
from attnviz.errors import InputError
from attnviz.interface import Model, load
from attnviz.model import overview
from attnviz.model.cost.estimates import estimate_cost


@pytest.fixture
def decoder(tiny_llama: Path) -> Model:
    return load(tiny_llama)


def taken(model: Model, tokens: int) -> int:
    needed = estimate_cost(overview.checkpoint_shape(model.checkpoint), tokens)
    return needed.activations + needed.kept


def test_a_run_that_does_not_fit_is_refused_with_both_numbers(decoder: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "bank " * 1200
    tokens = len(decoder.encode(text))
    monkeypatch.setattr(memory, "free_memory", lambda _: taken(decoder, tokens))
    decoder.inputs(text)
    monkeypatch.setattr(memory, "free_memory", lambda _: taken(decoder, tokens) - 1)
    with pytest.raises(
        InputError, match=r"has 1,202 tokens: its run would take .* MB beside the model, and .* are free"
    ):
        decoder.attend(text)


def test_short_texts_are_not_reckoned_with(decoder: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 0)
    decoder.inputs("the bank")


def test_a_text_that_is_far_too_long_is_not_cut_into_tokens_first(
    decoder: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: taken(decoder, 50_000))
    monkeypatch.setattr(Model, "encode", lambda *_, **__: pytest.fail("all of it was read"))
    with pytest.raises(InputError, match="the text has 2,000,000 tokens: its run would take"):
        decoder.attend("bank " * 4_000_000)


def test_a_text_far_beyond_the_positions_is_refused_as_soon(tiny_model: Model) -> None:
    with pytest.raises(InputError, match="the text has more than 1,000,000 tokens, the model takes 64"):
        tiny_model.attend("bank " * 2_000_000)
