"""Nomic BERT (Nussbaum et al. 2024): a BERT with rotary positions and gated MLPs, whose matrices have no biases."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, Spec
from attnviz.model.families import both, gte, names_without
from attnviz.model.families.bert import pooled_classifier

PREFIX = "nomic_bert."
classifier = pooled_classifier(PREFIX)

NAMES = {
    **names_without(gte.ROTARY_BERT_NAMES, "proj.bias"),
    # In files:
    **both("emb_ln", "embed.norm"),
    "encoder.layers.{}.attn.Wqkv.weight": "layers.{}.attention.qkv.weight",
    "encoder.layers.{}.attn.out_proj.weight": "layers.{}.attention.output.weight",
    **both("encoder.layers.{}.norm1", "layers.{}.attention.norm"),
    "encoder.layers.{}.mlp.fc11.weight": "layers.{}.mlp.up.weight",
    "encoder.layers.{}.mlp.fc12.weight": "layers.{}.mlp.gate.weight",
    "encoder.layers.{}.mlp.fc2.weight": "layers.{}.mlp.down.weight",
    **both("encoder.layers.{}.norm2", "layers.{}.mlp.norm"),
}

DEFAULTS = {"nomic_bert": {"vocab_size": 30528, "max_position_embeddings": 2048}}


def spec(config: Config) -> Spec:
    """The facts of a Nomic BERT."""
    found = gte.rotary_bert(config, theta=1000.0)
    mlp = GatedMLP(found.layers[0].mlp.size, config.activation("hidden_act", "silu"))
    return found.with_layers(
        lambda layer: replace(layer, attention=replace(layer.attention, bias=False, output_bias=False), mlp=mlp)
    )
