"""Configs of decoders: published ones, in the spelling of their time, are read as transformers reads them."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import CONFIG_MAPPING

from attnviz.attention.window import CAUSAL, KeyWindow
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import find_family
from tests.model.published import PUBLISHED
from tests.model.published_newer import NEWER

KNOWN = PUBLISHED | NEWER


def read(config: dict[str, Any]) -> Spec:
    return find_family(config).spec(config)


def written(config: dict[str, Any]) -> dict[str, Any]:
    """The config as transformers writes it."""
    kind = CONFIG_MAPPING[config["model_type"]]
    copied = {name: dict(value) if isinstance(value, dict) else value for name, value in config.items()}
    return kind(**{name: value for name, value in copied.items() if name != "model_type"}).to_dict()


@pytest.mark.parametrize("config", KNOWN.values(), ids=KNOWN.keys())
def test_a_published_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    spec = read(config)
    assert spec == read(written(config))
    assert spec.head
    assert spec.causal


@pytest.mark.parametrize("config", KNOWN.values(), ids=KNOWN.keys())
def test_what_a_config_says_beyond_is_refused_by_name(config: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel, match="mystery = 3"):
        read({**config, "mystery": 3})
    with pytest.raises(UnsupportedModel, match="add_cross_attention is True"):
        read({**config, "add_cross_attention": True})


def test_windows_are_read_from_the_types_of_layers() -> None:
    kinds = ["sliding_attention", "full_attention"]
    assert Config({}).layer_windows(4, kinds) == (KeyWindow(3, 0), CAUSAL)
    assert Config({"layer_types": kinds[::-1]}).layer_windows(4, kinds) == (CAUSAL, KeyWindow(3, 0))


@pytest.mark.parametrize(
    ("kinds", "window", "words"),
    [
        (["chunked_attention"] * 2, 4, "layer_types has chunked_attention; .* knows full_attention, sliding_attention"),
        (["sliding_attention"] * 2, None, "layer_types has sliding_attention; .* knows full_attention"),
        (2, 4, "layer_types is 2, expected one for each of 2 layers"),
        (["full_attention"], 4, "expected one for each of 2 layers"),
    ],
)
def test_types_of_layers_that_can_not_be_are_refused(kinds: Any, window: int | None, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Config({"layer_types": kinds}).layer_windows(window, ["full_attention"] * 2)


@pytest.mark.parametrize("kind", ["gemma2", "gemma3_text"])
def test_a_scale_that_no_root_has_is_refused(kind: str) -> None:
    with pytest.raises(ModelError, match="query_pre_attn_scalar is -1, expected a number above 0"):
        read({"model_type": kind, "query_pre_attn_scalar": -1})


def test_null_is_not_absent_where_it_says_that_there_is_none() -> None:
    assert Config({}).optional("sliding_window", 7) == 7
    assert Config({"sliding_window": None}).optional("sliding_window", 7) is None
    assert Config({"num_key_value_heads": None}).kv_heads(6, 3) == 6
    assert Config({}).kv_heads(6, 3) == 3
    assert Config({}, {"num_key_value_heads": 2}).kv_heads(6, 3) == 2
    assert Config({"num_key_value_heads": None}, {"num_key_value_heads": 2}).kv_heads(6, 3) == 6
    assert Config({"vocab_size": None}, {"vocab_size": 9}).size("vocab_size", 8) == 9
    assert Config({}).optional_number("attn_logit_softcapping", 50.0) == 50.0
    assert Config({"attn_logit_softcapping": None}).optional_number("attn_logit_softcapping", 50.0) is None


def test_a_default_of_a_model_type_that_its_family_does_not_read_is_found() -> None:
    with pytest.raises(UnsupportedModel, match="mystery = 3"):
        Config({}, {"mystery": 3}).close()


def test_a_window_that_is_null_is_none_also_where_the_model_type_has_one() -> None:
    assert read({"model_type": "mistral"}).layers[0].attention.window == KeyWindow(4095, 0)
    assert read({"model_type": "mistral", "sliding_window": None}).layers[0].attention.window == CAUSAL
    assert Config({"head_dim": None}).head_size(12, 3) == 4


def test_heads_that_do_not_share_evenly_are_refused() -> None:
    with pytest.raises(ModelError, match="6 attention heads do not share 4 key-value heads"):
        Config({"num_key_value_heads": 4}).kv_heads(6)
    with pytest.raises(ModelError, match="hidden_size 32 does not divide by its 5"):
        Config({}).head_size(32, 5)
