from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture.spec import ALiBi, ParallelNorm, PreNorm, Rotary
from tests import tiny
from tests.model.families import assert_defaults, assert_published, assert_refused, read
from tests.model.parity import TOLERANCES, saved
from tests.model.variants import IDS
from tests.model.variants.falcon import OLD, SHAPE

SEVEN_B: dict[str, Any] = {
    "model_type": "falcon",
    "alibi": False,
    "apply_residual_connection_post_layernorm": False,
    "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_falcon.FalconConfig"},
    "bias": False,
    "hidden_dropout": 0.0,
    "hidden_size": 4544,
    "layer_norm_epsilon": 1e-05,
    "multi_query": True,
    "new_decoder_architecture": False,
    "num_attention_heads": 71,
    "num_hidden_layers": 32,
    "parallel_attn": True,
    "vocab_size": 65024,
}
FORTY_B = SEVEN_B | {
    "hidden_size": 8192,
    "new_decoder_architecture": True,
    "num_attention_heads": 128,
    "num_hidden_layers": 60,
    "num_kv_heads": 8,
}
RW = SEVEN_B | {
    "alibi": True,
    "bias": True,
    "hidden_size": 2048,
    "multi_query": False,
    "num_attention_heads": 32,
    "num_hidden_layers": 24,
    "parallel_attn": False,
    "vocab_size": 50304,
}
PUBLISHED = {
    "falcon-7b": SEVEN_B,
    "falcon-40b": FORTY_B,
    "falcon-11B": FORTY_B
    | {"activation": "gelu", "ffn_hidden_size": 16384, "hidden_size": 4096, "max_position_embeddings": 8192}
    | {"num_attention_heads": 32, "num_ln_in_parallel_attn": 1, "rope_scaling": None, "rope_theta": 500042.0}
    | {"tie_word_embeddings": False},
    "falcon-rw-1b": RW,
}


def test_absent_attributes_have_the_values_of_transformers() -> None:
    assert_defaults("falcon")


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    assert_published(config)


def test_the_architectures_differ_in_key_heads_norms_and_positions() -> None:
    found = {name: read(config).layers[0] for name, config in PUBLISHED.items()}
    assert [layer.attention.kv_heads for layer in found.values()] == [1, 8, 8, 32]
    assert [type(layer.norms) for layer in found.values()] == [ParallelNorm] * 3 + [PreNorm]
    assert [getattr(layer.norms, "shared", None) for layer in found.values()] == [True, False, True, None]
    assert found["falcon-7b"].attention.position == Rotary(10_000.0, 64)
    assert found["falcon-11B"].attention.position == Rotary(500_042.0, 128)
    assert found["falcon-rw-1b"].attention.position == ALiBi(scale=0.125, bfloat16=True)


@pytest.mark.parametrize(
    ("config", "words", "error"),
    [
        (SEVEN_B | {"apply_residual_connection_post_layernorm": True}, "post_layernorm is True", UnsupportedModel),
        (SEVEN_B | {"num_ln_in_parallel_attn": 2}, "num_ln_in_parallel_attn is 2", UnsupportedModel),
        (FORTY_B | {"num_ln_in_parallel_attn": 3}, "num_ln_in_parallel_attn is 3", UnsupportedModel),
        (FORTY_B | {"parallel_attn": False}, "parallel_attn is False", UnsupportedModel),
        (FORTY_B | {"num_kv_heads": 7}, "128 attention heads do not share 7 key-value heads evenly", ModelError),
    ],
)
def test_what_the_forward_pass_does_not_know_is_refused(config: dict[str, Any], words: str, error: Any) -> None:
    assert_refused(config, words, error)


@pytest.mark.parametrize("heads", [4, 12])
def test_alibi_is_added_once_as_in_the_attention_that_transformers_runs_by_default(heads: int, tmp_path: Path) -> None:
    """Its eager attention, with which the parity tests compare, adds it twice (see the variants)."""
    config = transformers.FalconConfig(**SHAPE | OLD | {"alibi": True, "num_attention_heads": heads, "hidden_size": 48})
    model = transformers.FalconModel._from_config(config, attn_implementation="sdpa").eval()
    tiny.randomise(model, scale=0.3)
    with torch.inference_mode():
        expected = model(torch.tensor([IDS])).last_hidden_state[0]
    found = saved(model, tmp_path, torch.float32)(IDS)
    assert float((found - expected).abs().max()) <= TOLERANCES[torch.float32]
