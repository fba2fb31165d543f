from __future__ import annotations

from typing import Any

import pytest

from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture.spec import ALiBi, LayerNorm
from tests.model.families import assert_defaults, assert_published, assert_refused, read

ATTENTION: dict[str, Any] = {
    "alibi": True,
    "alibi_bias_max": 8,
    "attn_impl": "torch",
    "attn_pdrop": 0,
    "attn_type": "multihead_attention",
    "attn_uses_sequence_id": False,
    "clip_qkv": None,
    "prefix_lm": False,
    "qk_ln": False,
    "softmax_scale": None,
}
SEVEN_B: dict[str, Any] = {
    "model_type": "mpt",
    "attn_config": ATTENTION,
    "auto_map": {"AutoConfig": "configuration_mpt.MPTConfig"},
    "d_model": 4096,
    "emb_pdrop": 0,
    "embedding_fraction": 1.0,
    "expansion_ratio": 4,
    "init_config": {"name": "kaiming_normal_", "verbose": 0},
    "init_device": "cpu",
    "learned_pos_emb": True,
    "logit_scale": None,
    "max_seq_len": 2048,
    "n_heads": 32,
    "n_layers": 32,
    "no_bias": True,
    "norm_type": "low_precision_layernorm",
    "resid_pdrop": 0,
    "tokenizer_name": "EleutherAI/gpt-neox-20b",
    "use_cache": False,
    "verbose": 0,
    "vocab_size": 50432,
}
PUBLISHED = {
    "mpt-7b": SEVEN_B,
    "mpt-30b": SEVEN_B | {"d_model": 7168, "max_seq_len": 8192, "n_heads": 64, "n_layers": 48},
}


def test_absent_attributes_have_the_values_of_transformers() -> None:
    assert_defaults("mpt")


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    assert_published(config)


def test_the_attention_has_a_config_of_its_own() -> None:
    plain = read(SEVEN_B).layers[0].attention
    assert (plain.position, plain.clip, plain.scale) == (ALiBi(), None, 128**-0.5)
    other = read(SEVEN_B | {"attn_config": {"softmax_scale": 0.5, "clip_qkv": 6.0}}).layers[0].attention
    assert (other.scale, other.clip) == (0.5, 6.0)


def test_steeper_slopes_are_refused_since_transformers_does_not_take_them() -> None:
    with pytest.raises(UnsupportedModel, match="alibi_bias_max is 16"):
        read(SEVEN_B | {"attn_config": ATTENTION | {"alibi_bias_max": 16}})


def test_there_are_no_biases() -> None:
    spec = read(SEVEN_B)
    layer = spec.layers[0]
    assert (layer.attention.bias, layer.attention.output_bias, layer.mlp.bias) == (False, False, False)
    assert layer.norms.norm == spec.final_norm == LayerNorm(1e-5, bias=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("no_bias", False), ("expansion_ratio", 8), ("logit_scale", "inv_sqrt_d_model"), ("norm_type", "rmsnorm")],
)
def test_what_the_forward_pass_does_not_know_is_refused(name: str, value: Any) -> None:
    assert_refused(SEVEN_B | {name: value}, f"{name} is {value!r}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alibi", False),
        ("attn_type", "multiquery_attention"),
        ("attn_uses_sequence_id", True),
        ("prefix_lm", True),
        ("qk_ln", True),
    ],
)
def test_attention_that_it_does_not_know_is_refused(name: str, value: Any) -> None:
    assert_refused(SEVEN_B | {"attn_config": ATTENTION | {name: value}}, f"{name} is {value!r}")


def test_what_the_attention_says_beyond_is_refused_by_name() -> None:
    assert_refused(SEVEN_B | {"attn_config": ATTENTION | {"rope": True}}, "rope = True")
    assert_refused(SEVEN_B | {"attn_config": "flash"}, "attn_config is 'flash', expected its attributes", ModelError)
