from __future__ import annotations

from typing import Any

import pytest

from attnviz.model.architecture.spec import ALiBi
from tests.model.families import assert_defaults, assert_published, assert_refused, read

SMALL: dict[str, Any] = {
    "model_type": "bloom",
    "apply_residual_connection_post_layernorm": False,
    "attention_dropout": 0.0,
    "attention_softmax_in_fp32": True,
    "bias_dropout_fusion": True,
    "hidden_dropout": 0.0,
    "layer_norm_epsilon": 1e-05,
    "masked_softmax_fusion": True,
    "n_embed": 1024,
    "n_inner": None,
    "n_layer": 24,
    "num_attention_heads": 16,
    "offset_alibi": 100,
    "pad_token_id": 3,
    "pretraining_tp": 1,
    "seq_length": 2048,
    "skip_bias_add": True,
    "skip_bias_add_qkv": False,
    "slow_but_exact": False,
    "unk_token_id": 0,
    "vocab_size": 250880,
}
PUBLISHED = {
    "bloom-560m": SMALL,
    "bloom": {name: value for name, value in SMALL.items() if name not in ("n_embed", "num_attention_heads")}
    | {"hidden_size": 14336, "n_head": 112, "n_layer": 70, "pretraining_tp": 4},
    "bloomz-7b1": SMALL | {"n_embed": 4096, "hidden_size": 4096, "n_layer": 30, "num_attention_heads": 32},
}


def test_absent_attributes_have_the_values_of_transformers() -> None:
    assert_defaults("bloom")


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    assert_published(config)


def test_older_names_of_sizes_count() -> None:
    spec = read(SMALL)
    assert (spec.width, spec.layers[0].attention.heads, len(spec.layers)) == (1024, 16, 24)
    assert spec.layers[0].attention.position == ALiBi()
    assert spec.limit is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("apply_residual_connection_post_layernorm", True), ("n_inner", 99), ("slow_but_exact", True)],
)
def test_what_the_forward_pass_does_not_know_is_refused(name: str, value: Any) -> None:
    assert_refused(SMALL | {name: value}, f"{name} is {value!r}")
