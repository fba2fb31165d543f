"""ERNIE 4.5 MoE (Baidu 2025): an ERNIE 4.5 with a choice of experts, corrected for the choice alone, in most layers."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, Spec
from attnviz.model.families import both, ernie4_5, expert_names

PREFIX = "model."
ATTRIBUTES = {"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"}

NAMES = {
    **ernie4_5.NAMES,
    **expert_names("layers.{}.mlp"),
    **both("layers.{}.mlp.shared_experts.gate_proj", "layers.{}.mlp.shared.gate"),
    **both("layers.{}.mlp.shared_experts.up_proj", "layers.{}.mlp.shared.up"),
    **both("layers.{}.mlp.shared_experts.down_proj", "layers.{}.mlp.shared.down"),
    "layers.{}.mlp.moe_statics.e_score_correction_bias": "layers.{}.mlp.correction",
    "layers.{}.mlp.gate.moe_statics.e_score_correction_bias": "layers.{}.mlp.correction",
}

DEFAULTS = {
    "ernie4_5_moe": {
        "hidden_size": 2560, "intermediate_size": 12288, "num_hidden_layers": 28, "num_attention_heads": 20,
        "num_key_value_heads": 4,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of an ERNIE 4.5 MoE; absent attributes have the values of transformers' ``Ernie4_5_MoeConfig``."""
    config.ignore("moe_capacity", "moe_gate", "num_nextn_predict_layers")  # of training; modules beside the model
    config.only("moe_norm_min", 1e-12)
    config.only("moe_use_aux_free", True)
    found = ernie4_5.ernie_spec(config, size=None)
    activation, inner = config.activation("hidden_act", "silu"), config.size("moe_intermediate_size", 1536)
    beside = config.count("moe_num_shared_experts", 2)
    experts = Experts(
        GatedMLP(inner, activation),
        *config.experts("moe_num_experts", 64, 6, chosen_by="moe_k"),
        shares="chosen",
        corrected=True,
        shared=GatedMLP(inner * beside, activation, config.flag("use_bias")) if beside else None,
    )
    every, first = config.size("moe_layer_interval", 1), config.count("moe_layer_start_index", 1)
    last = config.get("moe_layer_end_index", -1)
    last = len(found.layers) - 1 if last == -1 else last
    return replace(
        found,
        layers=tuple(
            replace(layer, mlp=experts) if (i + 1) % every == 0 and first <= i <= last else layer
            for i, layer in enumerate(found.layers)
        ),
    )
