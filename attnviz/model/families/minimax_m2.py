"""MiniMax-M2 (MiniMax 2025): a Mixtral with queries and keys normed over all heads, and a DeepSeek-V3's choice."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, LayerSpec, PreNorm, QKNorm, RMSNorm, Sigmoid, Spec
from attnviz.model.families import QK_NORM_NAMES, decoder_spec, grouped_attention
from attnviz.model.families.mixtral import ATTRIBUTES as ATTRIBUTES
from attnviz.model.families.mixtral import NAMES as MIXTRAL_NAMES

PREFIX = "model."

NAMES = {
    **MIXTRAL_NAMES,
    **QK_NORM_NAMES,
    "layers.{}.block_sparse_moe.e_score_correction_bias": "layers.{}.mlp.correction",
    "layers.{}.mlp.e_score_correction_bias": "layers.{}.mlp.correction",
}


def spec(config: Config) -> Spec:
    """The facts of a MiniMax-M2; absent attributes have the values of transformers' ``MiniMaxM2Config``."""
    config.decoder()
    config.ignore(
        "router_jitter_noise",
        "mtp_transformer_layers", "num_mtp_modules", "use_mtp",  # modules beside the model
        "attn_type_list", "layernorm_full_attention_beta", "layernorm_linear_attention_beta", "layernorm_mlp_beta",
        "mlp_intermediate_size", "shared_moe_mode",  # of MiniMax-Text
    )  # fmt: skip
    for name, value in (("scoring_func", "sigmoid"), ("use_qk_norm", True), ("qk_norm_type", "per_layer")):
        config.only(name, value)
    config.only("use_routing_bias", True)
    config.only("shared_intermediate_size", 0)
    config.only("sliding_window", None)
    width = config.size("hidden_size", 3072)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6))
    turned = config.optional("rotary_dim")
    size = config.size("head_dim", 128)
    attention = grouped_attention(
        config, width, 48, 8, size=size, bias=False, theta=5e6, longest=196608, partial=turned / size if turned else 1.0
    )
    experts = Experts(
        GatedMLP(config.size("intermediate_size", 1536), config.activation("hidden_act", "silu")),
        *config.experts("num_local_experts", 256, 8),
        shares=Sigmoid(normed=True),
        corrected=True,
    )
    layer = LayerSpec(replace(attention, qk_norm=QKNorm(norm, over="width")), experts, PreNorm(norm))
    return decoder_spec(config, width, layer, vocabulary=200064, layers=62)
