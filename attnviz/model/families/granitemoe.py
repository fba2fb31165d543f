"""Granite MoE (Granite Team 2024): a Granite with a choice of experts in the place of each MLP."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, Spec
from attnviz.model.families import DECODER_NAMES, expert_names, granite, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, ".mlp."),
    "layers.{}.block_sparse_moe.router.layer.weight": "layers.{}.mlp.router.weight",
    "layers.{}.block_sparse_moe.input_linear.weight": "layers.{}.mlp.experts.gate_up.weight",
    "layers.{}.block_sparse_moe.output_linear.weight": "layers.{}.mlp.experts.down.weight",
    **expert_names("layers.{}.block_sparse_moe", "router"),
}


def spec(config: Config) -> Spec:
    """The facts of a Granite MoE; absent attributes have the values of transformers' ``GraniteMoeConfig``."""
    config.only("mlp_bias", False)
    found = granite.spec(config)
    size, activation = found.layers[0].mlp.size, config.activation("hidden_act", "silu")
    experts = Experts(GatedMLP(size, activation), *config.experts("num_local_experts", 8, 2), shares="chosen")
    return found.with_layers(lambda layer: replace(layer, mlp=experts))
