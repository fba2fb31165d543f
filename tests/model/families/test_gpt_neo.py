from __future__ import annotations

from typing import Any

import pytest

from attnviz.attention.window import CAUSAL, KeyWindow
from attnviz.errors import ModelError
from tests.model.families import assert_defaults, assert_published, assert_refused, read

SMALL: dict[str, Any] = {
    "model_type": "gpt_neo",
    "activation_function": "gelu_new",
    "attention_dropout": 0,
    "attention_layers": ["global", "local"] * 6,
    "attention_types": [[["global", "local"], 6]],
    "embed_dropout": 0,
    "gradient_checkpointing": False,
    "hidden_size": 768,
    "intermediate_size": None,
    "layer_norm_epsilon": 1e-05,
    "max_position_embeddings": 2048,
    "num_heads": 12,
    "num_layers": 12,
    "resid_dropout": 0,
    "summary_type": "cls_index",
    "vocab_size": 50257,
    "window_size": 256,
}
PUBLISHED = {
    "gpt-neo-125m": SMALL,
    "gpt-neo-2.7B": {name: value for name, value in SMALL.items() if name != "attention_layers"}
    | {"attention_types": [[["global", "local"], 16]], "hidden_size": 2560, "num_heads": 20, "num_layers": 32},
    "TinyStories": SMALL
    | {"attention_layers": ["global", "local"] * 2, "attention_types": [[["global", "local"], 2]], "num_layers": 4}
    | {"hidden_size": 64, "num_heads": 16},
}


def test_absent_attributes_have_the_values_of_transformers() -> None:
    assert_defaults("gpt_neo")


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    assert_published(config)


def test_every_other_layer_sees_a_window_itself_counted() -> None:
    assert [layer.attention.window for layer in read(SMALL).layers] == [CAUSAL, KeyWindow(255, 0)] * 6


def test_scores_are_not_scaled() -> None:
    assert read(SMALL).layers[0].attention.scale == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attention_layers": ["global", "block"] * 6}, "attention_types has block; .* knows global, local"),
        ({"attention_layers": ["global"] * 5}, "attention_types says 5 layers, num_layers 12"),
        ({"attention_types": ["global"]}, "attention_types is ..global.., expected"),
    ],
)
def test_layers_that_can_not_be_are_refused(change: dict[str, Any], words: str) -> None:
    assert_refused(SMALL | change, words, ModelError)
