"""GLM-4.7 Flash (Zhipu AI 2026): a DeepSeek-V3 that says of each layer whether it has experts."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, Spec
from attnviz.model.families.deepseek_v2 import deepseek_spec, latent_attention, typed_layers
from attnviz.model.families.deepseek_v3 import ATTRIBUTES, NAMES, PREFIX, corrected_experts

__all__ = ["ATTRIBUTES", "NAMES", "PREFIX"]

DEFAULTS = {
    "glm4_moe_lite": {
        "num_experts_per_tok": 4, "q_lora_rank": 768, "qk_nope_head_dim": 192, "v_head_dim": 256,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a GLM-4.7 Flash; absent attributes have the values of transformers' ``Glm4MoeLiteConfig``."""
    config.only("first_k_dense_replace", 1)
    width = config.size("hidden_size", 2048)
    attention = latent_attention(config, 20, interleaved=config.flag("rope_interleave", True), longest=202752)
    experts = corrected_experts(config, 64, 1536, factor=1.8)
    dense = GatedMLP(config.size("intermediate_size", 10240), experts.expert.activation)
    found = deepseek_spec(config, width, attention, dense, experts, layers=47, vocabulary=154880, first=1, eps=1e-5)
    return typed_layers(config, found, dense, experts)
