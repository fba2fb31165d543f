from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from attnviz.errors import ModelError
from attnviz.model.architecture.spec import Head, Learned
from tests.model.families import assert_defaults, assert_published, assert_refused, read
from tests.model.parity import assert_same, make, ours_of, saved, theirs_of
from tests.model.variants.gpt2 import gpt2

SMALL: dict[str, Any] = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "activation_function": "gelu_new",
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "layer_norm_epsilon": 1e-05,
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}
PUBLISHED = {
    "gpt2": SMALL,
    "gpt2-xl": SMALL | {"n_embd": 1600, "n_head": 25, "n_layer": 48, "output_past": True},
    "distilgpt2": SMALL | {"n_layer": 6, "_num_labels": 1, "id2label": {"0": "LABEL_0"}},
    "stanford mistral": SMALL
    | {"n_inner": None, "reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True},
    "as other decoders say it": {
        "model_type": "gpt2",
        "hidden_size": 1024,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "max_position_embeddings": 512,
    },
}


def test_absent_attributes_have_the_values_of_transformers() -> None:
    assert_defaults("gpt2")


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    assert_published(config)


def test_a_config_says_every_size() -> None:
    spec = read(SMALL | {"n_embd": 1600, "n_head": 25, "n_layer": 48, "n_positions": 99, "n_inner": 70})
    layer = spec.layers[0]
    assert (spec.width, len(spec.layers), layer.attention.heads, layer.attention.head_size) == (1600, 48, 25, 64)
    assert (spec.embedding.positions, layer.mlp.size, spec.head) == (Learned(99), 70, Head(tied=True))


def test_what_the_forward_pass_does_not_know_is_refused() -> None:
    assert_refused(SMALL | {"add_cross_attention": True}, "add_cross_attention is True")
    assert_refused(SMALL | {"n_head": 11}, "n_embd 768 does not divide by its 11", ModelError)


def test_scores_that_are_upcast_are_the_same(tmp_path: Path) -> None:
    """In float64 transformers refuses this setting, so it is not a variant."""
    variant = gpt2(reorder_and_upcast_attn=True, scale_attn_by_inverse_layer_idx=True)
    model = make(variant, torch.float32)
    found = ours_of(saved(model, tmp_path, torch.float32), variant)
    assert_same(found["self"], theirs_of(model, variant)["self"], torch.float32)
