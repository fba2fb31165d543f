"""Solar Open (Upstage 2025): a GLM-4.5 whose layers all have experts, and whose queries turn whole."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, Spec
from attnviz.model.families import grouped_attention, names_without
from attnviz.model.families.deepseek_v2 import deepseek_spec
from attnviz.model.families.deepseek_v3 import corrected_experts
from attnviz.model.families.glm4_moe import ATTRIBUTES as ATTRIBUTES
from attnviz.model.families.glm4_moe import NAMES as GLM4_MOE_NAMES

PREFIX = "model."

NAMES = names_without(GLM4_MOE_NAMES, "_norm", ".mlp.gate_proj", ".mlp.up_proj", ".mlp.down_proj")


def spec(config: Config) -> Spec:
    """The facts of a Solar Open; absent attributes have the values of transformers' ``SolarOpenConfig``."""
    config.ignore("first_k_dense_replace", "intermediate_size")  # of a GLM-4.5
    config.only("use_qk_norm", False)
    width = config.size("hidden_size", 4096)
    attention = grouped_attention(config, width, 64, 8, size=128, theta=1e6, longest=131072)
    experts = corrected_experts(config, 128, 1280)
    found = deepseek_spec(
        config,
        width,
        replace(attention, output_bias=False),
        GatedMLP(experts.expert.size, experts.expert.activation),
        experts,
        layers=48,
        vocabulary=196608,
        first=0,
        eps=1e-5,
    )
    return found.with_layers(lambda layer: replace(layer, mlp=experts))
