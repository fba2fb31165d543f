from __future__ import annotations

from typing import Any

import pytest

from attnviz.model.architecture.spec import Linear, ParallelNorm, PreNorm, Rotary
from tests.model.families import assert_defaults, assert_published, assert_refused, read

PYTHIA: dict[str, Any] = {
    "model_type": "gpt_neox",
    "hidden_act": "gelu",
    "hidden_size": 512,
    "intermediate_size": 2048,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 2048,
    "num_attention_heads": 8,
    "num_hidden_layers": 6,
    "rotary_emb_base": 10000,
    "rotary_pct": 0.25,
    "tie_word_embeddings": False,
    "use_parallel_residual": True,
    "vocab_size": 50304,
}
PUBLISHED = {
    "pythia-70m": PYTHIA,
    "gpt-neox-20b": PYTHIA
    | {"attention_probs_dropout_prob": 0, "hidden_act": "gelu_fast", "hidden_dropout_prob": 0, "hidden_size": 6144}
    | {"intermediate_size": 24576, "num_attention_heads": 64, "num_hidden_layers": 44, "vocab_size": 50432},
    "dolly-v2-3b": PYTHIA | {"custom_pipelines": {"text-generation": {"impl": "instruct_pipeline"}}},
    "RedPajama-INCITE-3B": PYTHIA
    | {"rotary_pct": 1.0, "use_parallel_residual": False, "hidden_size": 2560}
    | {"num_attention_heads": 32},
    "japanese-gpt-neox-3.6b": PYTHIA | {"rotary_pct": 1.0, "use_parallel_residual": False, "hidden_act": "gelu"},
    "as transformers 4.40 wrote it": PYTHIA
    | {"attention_bias": True, "attention_dropout": 0.0, "classifier_dropout": 0.1, "hidden_dropout": 0.0}
    | {"rope_scaling": None},
    "with scaling": PYTHIA | {"rope_scaling": {"type": "linear", "factor": 4.0}},
}


def test_absent_attributes_have_the_values_of_transformers() -> None:
    assert_defaults("gpt_neox")


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    assert_published(config)


def test_a_part_of_each_head_turns() -> None:
    assert read(PYTHIA).layers[0].attention.position == Rotary(10_000.0, 16)
    other = read(PYTHIA | {"rotary_emb_base": 5000, "rotary_pct": 1.0, "rope_scaling": {"type": "linear", "factor": 2}})
    assert other.layers[0].attention.position == Rotary(5000.0, 64, scaling=Linear(2.0))


def test_sublayers_stand_side_by_side_or_one_after_the_other() -> None:
    norms = [read(PYTHIA | {"use_parallel_residual": parallel}).layers[0].norms for parallel in (True, False)]
    assert list(map(type, norms)) == [ParallelNorm, PreNorm]


def test_what_the_forward_pass_does_not_know_is_refused() -> None:
    assert_refused(PYTHIA | {"rope_scaling": {"type": "spiral", "factor": 2}}, "spiral")
