"""Rotary positions of configs, compared with the functions of transformers that read the same configs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import Gemma3TextConfig, LlamaConfig, Phi3Config, PhiConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture import position
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import Dynamic, Linear, Rotary
from attnviz.model.hosted.precision import precision

SHAPE: dict[str, Any] = {"hidden_size": 64, "num_attention_heads": 4, "max_position_embeddings": 128}
SIZE = 16
FACTORS = {"short_factor": [1 + i / 8 for i in range(8)], "long_factor": [1 + i * i / 4 for i in range(8)]}

SCALINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "linear": {"rope_type": "linear", "factor": 3},
    "dynamic": {"rope_type": "dynamic", "factor": 2.5},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "llama3, its original being the longest": {
        "rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1, "high_freq_factor": 4,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    "yarn, its original being the longest": {"rope_type": "yarn", "factor": 2.0},
    "yarn, its factor null": {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 32},
    "yarn, all said": {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 20, "beta_slow": 2,
        "mscale": 0.9, "mscale_all_dim": 0.4, "truncate": False,
    },
    "yarn with one mscale": {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "mscale": 0.9,
    },
    "yarn with its attention": {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "attention_factor": 1.25,
    },
    "longrope": {"rope_type": "longrope", "original_max_position_embeddings": 40, **FACTORS},
    "longrope with a factor": {
        "rope_type": "longrope", "original_max_position_embeddings": 40, "factor": 4.0, **FACTORS,
    },
    "longrope with its attention": {
        "rope_type": "longrope", "original_max_position_embeddings": 40, "attention_factor": 1.5, **FACTORS,
    },
}  # fmt: skip


def read(config: dict[str, Any], **facts: Any) -> Rotary:
    return rotary(Config(config), SIZE, **facts)


def theirs(config: Any, length: int) -> tuple[torch.Tensor, float]:
    """Return the angles per token and the factor of the sines, in float64."""
    with precision(torch.float64):
        kind = config.rope_parameters["rope_type"]
        if kind == "default":
            return LlamaRotaryEmbedding.compute_default_rope_parameters(config)
        frequencies, factor = ROPE_INIT_FUNCTIONS[kind](config, seq_len=length)
    return frequencies, factor


def assert_turns(mine: Rotary, config: Any, length: int) -> None:
    frequencies, factor = theirs(config, length)
    at = torch.arange(length)
    angles = at.double()[:, None] * frequencies
    cos, sin = (both[:, mine.size // 2 :] for both in position.rotary_factors(mine, at, torch.float64))
    torch.testing.assert_close(cos, angles.cos() * factor, rtol=0, atol=1e-10)
    torch.testing.assert_close(sin, angles.sin() * factor, rtol=0, atol=1e-10)


@pytest.mark.parametrize("length", [20, 100, 300])
@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS.keys())
def test_every_scaling_is_that_of_transformers_in_new_and_old_spelling(scaling: dict[str, Any], length: int) -> None:
    new = {**SHAPE, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, **scaling}}
    assert_turns(read(new), LlamaConfig(**new), length)
    renamed = {("type" if key == "rope_type" else key): value for key, value in scaling.items()}
    for old in ({"rope_theta": 500.0, "rope_scaling": scaling}, {"rope_theta": 500.0, "rope_scaling": renamed}):
        assert read({**SHAPE, **old}) == read(new)
        assert_turns(
            read({**SHAPE, **old}), LlamaConfig(**SHAPE, **{**old, "rope_scaling": dict(old["rope_scaling"])}), length
        )


def test_what_transformers_writes_is_read_the_same() -> None:
    for scaling in SCALINGS.values():
        old = {**SHAPE, "rope_theta": 500.0, "rope_scaling": scaling or None}
        assert read(LlamaConfig(**{**old, "rope_scaling": dict(scaling)}).to_dict()) == read(old)


def test_absent_and_null_have_the_values_of_the_family() -> None:
    default = Rotary(7000.0, SIZE)
    assert read({}, theta=7000.0) == default
    assert read({"rope_theta": None, "rope_scaling": None, "rope_parameters": None}, theta=7000.0) == default
    assert read({"rope_parameters": {"rope_theta": None, "rope_type": None}}, theta=7000.0) == default
    assert read({"rope_parameters": {"rope_theta": 30}}, theta=7000.0).theta == 30.0
    assert read({"rope_scaling": {"type": "dynamic", "factor": 2}}, longest=99).scaling == Dynamic(2.0, 99)


def test_the_older_spelling_wins_as_in_transformers() -> None:
    both = {**SHAPE, "rope_scaling": {"type": "linear", "factor": 2.0},
            "rope_parameters": {"rope_type": "linear", "factor": 4.0}}  # fmt: skip
    assert read(both).scaling == Linear(2.0)
    assert LlamaConfig(**both).rope_parameters["factor"] == 2.0


@pytest.mark.parametrize("name", ["llama3", "yarn", "longrope"])
def test_an_original_length_outside_of_the_scaling_wins_as_in_transformers(name: str) -> None:
    config = {**SHAPE, "rope_theta": 500.0, "original_max_position_embeddings": 50}
    mine = read({**config, "rope_scaling": SCALINGS[name]})
    assert mine.scaling.original == 50
    assert_turns(mine, LlamaConfig(**config, rope_scaling=dict(SCALINGS[name])), 100)


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
def test_a_part_of_each_head_turns(part: float) -> None:
    for said in ({"partial_rotary_factor": part}, {"rope_parameters": {"partial_rotary_factor": part}}):
        mine = read({**SHAPE, **said}, partial=0.5)
        theirs_ = PhiConfig(**SHAPE, **said)
        assert mine.size == int(SIZE * theirs_.rope_parameters["partial_rotary_factor"]) == SIZE * part
    assert read(SHAPE, partial=0.5).size == SIZE // 2


def test_a_family_that_turns_whole_heads_refuses_a_part() -> None:
    assert read({"partial_rotary_factor": 1.0}).size == SIZE
    with pytest.raises(UnsupportedModel, match="8 of 16 dimensions"):
        read({"partial_rotary_factor": 0.5})
    with pytest.raises(UnsupportedModel, match="5 of 16 dimensions"):
        read({"partial_rotary_factor": 0.34}, partial=1.0)


@pytest.mark.parametrize("older", ["su", "yarn", "longrope"])
def test_a_family_may_have_other_names_of_scalings(older: str) -> None:
    scaling = {"type": older, "original_max_position_embeddings": 40, **FACTORS}
    config = {**SHAPE, "pad_token_id": 0, "original_max_position_embeddings": 40}
    mine = read({**config, "rope_scaling": scaling}, spellings={"su": "longrope", "yarn": "longrope"})
    assert_turns(mine, Phi3Config(**config, rope_scaling=dict(scaling)), 100)


GLOBAL, LOCAL = "full_attention", "sliding_attention"
KINDS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "old": {"rope_theta": 5000.0, "rope_local_base_freq": 90.0},
    "old and scaled": {"rope_theta": 5000.0, "rope_local_base_freq": 90.0,
                       "rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
    "new": {"rope_parameters": {GLOBAL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 5000.0},
                                LOCAL: {"rope_type": "default", "rope_theta": 90.0}}},
    "new, one of them": {"rope_parameters": {GLOBAL: {"rope_type": "linear", "factor": 8.0}}},
    "new, one of them null": {"rope_parameters": {GLOBAL: {"rope_theta": 70.0}, LOCAL: None}},
}  # fmt: skip


@pytest.mark.parametrize("said", KINDS.values(), ids=KINDS.keys())
def test_types_of_layers_have_their_own(said: dict[str, Any]) -> None:
    written = Gemma3TextConfig(**SHAPE, **said).to_dict()  # this reaches into the dictionaries that it is given
    for config in ({**SHAPE, **said}, written):
        whole = read(config, theta=1e6, kind=GLOBAL)
        near = read(config, theta=1e4, theta_name="rope_local_base_freq", kind=LOCAL, scaled=False)
        parameters = written["rope_parameters"]
        assert whole.theta == parameters[GLOBAL]["rope_theta"]
        assert near == Rotary(parameters[LOCAL]["rope_theta"], SIZE)
        assert whole.scaling == (Linear(8.0) if "factor" in parameters[GLOBAL] else None)


def test_what_says_nothing_of_a_type_of_layer_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="nothing of layers of type full_attention"):
        read({"rope_parameters": {"rope_theta": 3.0}}, kind=GLOBAL)


def test_a_ramp_that_transformers_would_truncate_is_refused() -> None:
    said = {"rope_type": "yarn", "factor": 2.0, "truncate": False}
    with pytest.raises(UnsupportedModel, match="yarn rotary scaling with truncate"):
        read({"rope_parameters": {GLOBAL: said}}, kind=GLOBAL)


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"rope_type": "spiral"}, "rope_type is 'spiral'"),
        ({"rope_type": "dynamic", "factor": 2.0, "alpha": 50.0}, "dynamic rotary scaling with alpha"),
        ({"rope_type": "linear", "factor": 2.0, "beta_fast": 3}, "linear rotary scaling with beta_fast"),
    ],
)
def test_what_is_not_known_is_refused_by_name(scaling: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedModel, match=words):
        read({"rope_scaling": scaling})


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"rope_theta": "many"}, "rope_theta"),
        ({"rope_scaling": {"type": "linear"}}, "factor"),
        ({"rope_scaling": {"type": "llama3", "factor": 2.0, "low_freq_factor": 1.0}}, "high_freq_factor"),
        ({"rope_scaling": {"type": "longrope", **FACTORS, "long_factor": "2"}}, "long_factor"),
        (
            {"rope_scaling": {"type": "longrope", **FACTORS, "long_factor": [1.0, 2.0]}},
            "long_factor .* expected 8 numbers",
        ),
        ({"rope_scaling": {"type": "yarn", "factor": True}}, "factor"),
        ({"rope_scaling": {"type": "yarn", "factor": 2.0, "beta_fast": "32"}}, "beta_fast"),
        ({"rope_scaling": "yarn"}, "rope_scaling is 'yarn', expected names and values"),
    ],
)
def test_what_is_no_number_is_said_to_be_none(config: dict[str, Any], name: str) -> None:
    with pytest.raises(ModelError, match=name):
        read(config)


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"type": "yarn", "factor": 2.0, "rope_theta": 1}, "rope_theta .* is 1, expected a number above 1"),
        ({"type": "yarn", "factor": 2.0, "beta_fast": -1}, "beta_fast .* is -1, expected a number above 0"),
        ({"type": "yarn", "factor": 2.0, "beta_slow": math.nan}, "beta_slow .* is nan"),
        ({"type": "yarn", "original_max_position_embeddings": -1}, "original_max_position_embeddings .* is -1"),
        ({"type": "llama3", "original_max_position_embeddings": 1e30}, "no model has more than"),
        ({"type": "linear", "factor": 0}, "factor .* is 0, expected a number above 0"),
        ({"type": "longrope", "factor": math.inf, **FACTORS}, "factor .* is inf"),
        ({"type": "default", "partial_rotary_factor": 3}, "48 of 16 dimensions turn"),
    ],
)
def test_numbers_that_no_rotation_has_are_refused(scaling: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        read({**SHAPE, "rope_scaling": scaling}, partial=1.0)


def test_dynamic_scaling_of_a_single_pair_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="of 2 dimensions"):
        rotary(Config({"rope_scaling": {"type": "dynamic", "factor": 2.0}}), 2)
