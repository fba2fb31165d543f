"""LFM2 MoE (Liquid AI 2025): an LFM2 with a choice of experts in the place of MLPs but in the first layers, by sigmoids
corrected for the choice alone.
"""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, Sigmoid, Spec
from attnviz.model.families import expert_names, lfm2
from attnviz.model.families.lfm2 import convolved_spec

PREFIX = "model."

ATTRIBUTES = {"tie_embedding": "tie_word_embeddings"}

NAMES = {
    **lfm2.NAMES,
    **expert_names("layers.{}.feed_forward", theirs=("w1", "w3", "w2")),
    "layers.{}.feed_forward.expert_bias": "layers.{}.mlp.correction",
}


def spec(config: Config) -> Spec:
    """The facts of an LFM2 MoE; absent attributes have the values of transformers' ``Lfm2MoeConfig``."""
    config.ignore("output_router_logits")
    first, dense = config.count("num_dense_layers", 2), GatedMLP(config.size("intermediate_size", 7168), "silu")
    experts = Experts(
        GatedMLP(config.size("moe_intermediate_size", 1792), "silu"),
        *config.experts("num_experts", 32, 4),
        shares=Sigmoid(config.flag("norm_topk_prob", True), eps=1e-6),
        factor=config.number("routed_scaling_factor", 1.0),
        corrected=config.flag("use_expert_bias", True),
    )
    usual = ["full_attention"] * config.size("num_hidden_layers", 32)
    return convolved_spec(config, usual, lambda i: dense if i < first else experts, width=2048)
