"""What configs say of hosted and observed models, compared with the heads that runs of the tour showed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from attnviz.checkpoint import open_checkpoint
from attnviz.interface import load
from attnviz.model import overview
from attnviz.model.cost.measuring import measure_rates
from attnviz.model.cost.said import missing, said_facts, said_shape, without_attention
from tests import tiny
from tests.model.zoo import read_tour, tiny_config

BY_TRANSFORMERS = {kind: row for kind, row in read_tour()["text"].items() if row["backend"] in ("hosted", "observed")}
JAMBA = {"num_hidden_layers": 8, "attn_layer_period": 4, "attn_layer_offset": 2}


@pytest.mark.parametrize("kind", sorted(BY_TRANSFORMERS))
def test_as_many_heads_are_counted_as_run(kind: str) -> None:
    config = json.loads(tiny_config(kind).to_json_string(use_diff=False))
    assert missing(config) == []
    heads = sum(block.heads for stack in said_shape(config, {}).stacks for block in stack.blocks)
    attentions_of_a_layer = 2 if kind == "longcat_flash" else 1  # whose config does not say so
    assert attentions_of_a_layer * heads == BY_TRANSFORMERS[kind].get("heads", heads)


@pytest.mark.parametrize(
    ("config", "others"),
    [
        (JAMBA, {0: "mamba", 1: "mamba", 3: "mamba", 4: "mamba", 5: "mamba", 7: "mamba"}),
        ({"num_hidden_layers": 3, "full_attn_idxs": [2]}, {0: "conv", 1: "conv"}),
        ({"num_hidden_layers": 2, "attn_layer_indices": [1]}, {0: "mamba"}),
        (
            {"num_hidden_layers": 5, "block_types": ["recurrent", "recurrent", "attention"]},
            {0: "recurrent", 1: "recurrent", 3: "recurrent", 4: "recurrent"},
        ),
        ({"hybrid_override_pattern": "M-*E"}, {0: "mamba", 1: "mlp", 3: "moe"}),
        ({"text_config": {"num_hidden_layers": 2, "layer_types": ["conv", "full_attention"]}}, {0: "conv"}),
        ({"num_hidden_layers": 2}, {}),
    ],
)
def test_layers_without_attention_are_named_however_a_config_says_it(
    config: dict[str, Any], others: dict[int, str]
) -> None:
    assert without_attention(config) == others


def test_a_hosted_hybrid_names_them_first(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", transformers.JambaForCausalLM(tiny_config("jamba")))
    assert "layer 0 (mamba) has no attention: the others are shown alone" in load(folder).reason


def test_two_models_in_one_count_for_both(tmp_path: Path) -> None:
    config = tiny_config("encoder-decoder")
    folder = tiny.save(tmp_path / "model", transformers.EncoderDecoderModel(config))
    made = overview.checkpoint_shape(open_checkpoint(folder))
    assert [len(stack.blocks) for stack in made.stacks] == [2, 4]
    # query, key, value, output and an MLP; a decoder has the first four twice, of which key and value read the encoder,
    # and each stack has a matrix after its layers: a pooler, and what stands before a head
    layer = 4 * 32**2 + 2 * 32 * 48
    assert [stack.linear for stack in made.stacks] == [2 * layer + 32**2, 2 * (layer + 2 * 32**2) + 32**2]
    assert made.stacks[1].remembered == 2 * 2 * 32**2


def test_what_is_listed_is_what_is_said() -> None:
    said = {"d_model": 1024, "encoder_layers": 6, "decoder_layers": 3, "encoder_attention_heads": 8}
    said |= {"decoder_attention_heads": 4, "vocab_size": 50}
    assert said_facts(said) == {
        "encoder layers": "6",
        "encoder heads": "8",
        "encoder width": "1,024",
        "decoder layers": "3",
        "decoder heads": "4",
        "decoder width": "1,024",
        "vocabulary": "50",
    }
    assert said_facts({"hidden_size": 32, "num_hidden_layers": 2}) == {"layers": "2", "width": "32"}
    assert missing({"num_hidden_layers": 2}) == ["heads", "width"]


def test_a_model_that_does_not_say_its_limit_is_measured_in_a_short_run(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", transformers.ReformerForMaskedLM(tiny_config("reformer")))
    model = load(folder)
    rates = measure_rates(model.backend, overview.checkpoint_shape(model.checkpoint), [5, 6, 7], bytes_=4)
    assert rates.operation > 0
