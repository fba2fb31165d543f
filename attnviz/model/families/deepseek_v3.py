"""DeepSeek-V3 (DeepSeek-AI 2024): a DeepSeek-V2 whose experts' scores are sigmoids, corrected for the choice alone."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, Sigmoid, Spec
from attnviz.model.families import names_without
from attnviz.model.families.deepseek_v2 import NAMES as DEEPSEEK_V2_NAMES
from attnviz.model.families.deepseek_v2 import deepseek_spec, expert_groups, latent_attention

PREFIX = "model."
ATTRIBUTES = {"num_local_experts": "n_routed_experts", "num_mtp_layers": "num_nextn_predict_layers"}

NAMES = {
    **names_without(DEEPSEEK_V2_NAMES, "gate_proj.bias", "up_proj.bias", "down_proj.bias"),
    "layers.{}.mlp.gate.e_score_correction_bias": "layers.{}.mlp.correction",
}


def spec(config: Config) -> Spec:
    """The facts of a DeepSeek-V3; absent attributes have the values of transformers' ``DeepseekV3Config``."""
    width = config.size("hidden_size", 7168)
    attention = latent_attention(config, 128, interleaved=config.flag("rope_interleave", True), longest=4096)
    experts = corrected_experts(config, 256, 2048, factor=2.5, groups=8, some=4)
    dense = GatedMLP(config.size("intermediate_size", 18432), experts.expert.activation)
    return deepseek_spec(config, width, attention, dense, experts, layers=61, vocabulary=129280, first=3)


def corrected_experts(
    config: Config, count: int, inner: int, *, factor: float = 1.0, groups: int = 1, some: int = 1
) -> Experts:
    """Experts chosen in groups by corrected sigmoids, beside a shared one; the arguments are defaults."""
    config.expect("scoring_func", "sigmoid")
    config.expect("topk_method", "noaux_tc")
    config.ignore("num_nextn_predict_layers")  # modules beside the model, which predict further tokens
    activation = config.activation("hidden_act", "silu")
    count, chosen = config.experts("n_routed_experts", count, 8)
    inner = config.size("moe_intermediate_size", inner)
    return Experts(
        GatedMLP(inner, activation),
        count,
        chosen,
        shares=Sigmoid(config.flag("norm_topk_prob", True)),
        factor=config.number("routed_scaling_factor", factor),
        groups=expert_groups(config, count, chosen, 2, groups, some),
        corrected=True,
        shared=GatedMLP(inner * config.size("n_shared_experts", 1), activation),
    )
