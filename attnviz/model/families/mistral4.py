"""Mistral 4 (Mistral AI 2026): a DeepSeek-V3 of softmaxes, whose queries grow with their position."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import temperature
from attnviz.model.architecture.spec import Experts, GatedMLP, Spec
from attnviz.model.families import names_without
from attnviz.model.families.deepseek_v2 import deepseek_spec, expert_groups, latent_attention
from attnviz.model.families.deepseek_v3 import ATTRIBUTES as ATTRIBUTES
from attnviz.model.families.deepseek_v3 import NAMES as DEEPSEEK_V3_NAMES

PREFIX = "model."

NAMES = names_without(DEEPSEEK_V3_NAMES, "correction")

DEFAULTS = {
    "mistral4": {
        "max_position_embeddings": 1048576,
        "kv_lora_rank": 256, "q_lora_rank": 1024, "qk_nope_head_dim": 64,
        "rope_parameters": {
            "rope_type": "yarn", "rope_theta": 10000.0, "factor": 128.0, "original_max_position_embeddings": 8192,
            "beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1,
        },
    },
}  # fmt: skip


_BESIDE = ("llama_4_scaling_beta", "max_position_embeddings", "partial_rotary_factor")


def spec(config: Config) -> Spec:
    """The facts of a Mistral 4; absent attributes have the values of transformers' ``Mistral4Config``."""
    width, activation = config.size("hidden_size", 4096), config.activation("hidden_act", "silu")
    inner = config.size("moe_intermediate_size", 2048)
    count, chosen = config.experts("n_routed_experts", 128, 4)
    experts = Experts(
        GatedMLP(inner, activation),
        count,
        chosen,
        shares="chosen" if config.flag("norm_topk_prob", True) else "all",
        factor=config.number("routed_scaling_factor", 1.0),
        groups=expert_groups(config, count, chosen, 2),
        shared=GatedMLP(inner * config.size("n_shared_experts", 1), activation),
    )
    # The rotary settings name the part of a whole key that turns, which is the part that is shared.
    attention = latent_attention(config, 32, interleaved=config.flag("rope_interleave", True), beside=_BESIDE)
    attention = replace(attention, temperature=temperature(config))
    dense = GatedMLP(config.size("intermediate_size", 12288), activation)
    return deepseek_spec(config, width, attention, dense, experts, layers=36, vocabulary=131072, first=0)
