from __future__ import annotations

from typing import Any

import pytest

from attnviz.model.architecture.spec import LayerNorm, Learned, PostNorm, Projection
from attnviz.model.native import weights
from tests.model.families import assert_defaults, assert_published, assert_refused, read

SMALL: dict[str, Any] = {
    "model_type": "opt",
    "_remove_final_layer_norm": False,
    "activation_dropout": 0.0,
    "activation_function": "relu",
    "attention_dropout": 0.0,
    "bos_token_id": 2,
    "do_layer_norm_before": True,
    "dropout": 0.1,
    "eos_token_id": 2,
    "ffn_dim": 3072,
    "hidden_size": 768,
    "init_std": 0.02,
    "layerdrop": 0.0,
    "max_position_embeddings": 2048,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "prefix": "</s>",
    "vocab_size": 50272,
    "word_embed_proj_dim": 768,
}
MEDIUM = SMALL | {
    "do_layer_norm_before": False,
    "ffn_dim": 4096,
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "word_embed_proj_dim": 512,
}
PUBLISHED = {
    "opt-125m": SMALL,
    "opt-350m": MEDIUM,
    "galactica-125m": SMALL
    | {"activation_function": "gelu", "enable_bias": False, "layer_norm_elementwise_affine": False}
    | {"learned_embeddings": True, "scale_embeddings": False, "vocab_size": 50000},
}


def test_absent_attributes_have_the_values_of_transformers() -> None:
    assert_defaults("opt")


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    assert_published(config)


def test_the_medium_one_norms_after_and_is_narrow_at_both_ends() -> None:
    spec = read(MEDIUM)
    assert isinstance(spec.layers[0].norms, PostNorm)
    assert (spec.final_norm, spec.final_size) == (None, 512)
    assert spec.embedding.projection == Projection(512, bias=False, tokens=True)
    assert weights.head_shapes(spec) == {"embed.tokens.weight": (50272, 512)}


def test_positions_begin_at_row_two() -> None:
    assert read(SMALL).embedding.positions == Learned(2048, offset=2)


def test_a_last_norm_may_be_gone() -> None:
    assert read(SMALL).final_norm == LayerNorm(1e-5)
    assert read(SMALL | {"_remove_final_layer_norm": True}).final_norm is None


def test_what_the_forward_pass_does_not_know_is_refused() -> None:
    assert_refused(SMALL | {"learned_embeddings": False}, "learned_embeddings is False")
    assert_refused(SMALL | {"scale_embeddings": True}, "scale_embeddings is True")
