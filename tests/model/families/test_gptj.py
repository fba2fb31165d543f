from __future__ import annotations

from typing import Any

import pytest

from attnviz.errors import ModelError
from attnviz.model.architecture.spec import Head, Rotary
from tests.model.families import assert_defaults, assert_published, assert_refused, read

SIX_B: dict[str, Any] = {
    "model_type": "gptj",
    "activation_function": "gelu_new",
    "attn_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "gradient_checkpointing": False,
    "layer_norm_epsilon": 1e-05,
    "n_embd": 4096,
    "n_head": 16,
    "n_inner": None,
    "n_layer": 28,
    "n_positions": 2048,
    "resid_pdrop": 0.0,
    "rotary": True,
    "rotary_dim": 64,
    "scale_attn_weights": True,
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True}},
    "tie_word_embeddings": False,
    "vocab_size": 50400,
}


def test_absent_attributes_have_the_values_of_transformers() -> None:
    assert_defaults("gptj")


@pytest.mark.parametrize("change", [{}, {"rotary_dim": 32, "n_inner": 99}, {"tie_word_embeddings": True}])
def test_a_published_config_is_read_as_transformers_reads_it(change: dict[str, Any]) -> None:
    assert_published(SIX_B | change)


def test_a_part_of_each_head_turns_and_the_head_has_a_bias() -> None:
    spec = read(SIX_B)
    assert spec.layers[0].attention.position == Rotary(10_000.0, 64, interleaved=True)
    assert spec.head == Head(tied=False, bias=True)


@pytest.mark.parametrize("size", [258, 63])
def test_a_part_that_can_not_turn_is_refused(size: int) -> None:
    assert_refused(SIX_B | {"rotary_dim": size}, f"rotary_dim is {size}, .* up to the head size 256", ModelError)


def test_what_the_forward_pass_does_not_know_is_refused() -> None:
    assert_refused(SIX_B | {"rotary": False}, "rotary is False")
    assert_refused(SIX_B | {"scale_attn_weights": False}, "scale_attn_weights is False")
