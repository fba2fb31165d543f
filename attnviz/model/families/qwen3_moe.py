"""Qwen3 MoE (Yang et al. 2025): a Qwen3 with a choice of experts in the place of MLPs."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    Embedding,
    Experts,
    GatedMLP,
    Head,
    LayerSpec,
    PreNorm,
    QKNorm,
    RMSNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, expert_names, grouped_attention
from attnviz.model.families.qwen2_moe import sparse_layers

PREFIX = "model."
ATTRIBUTES = {"num_experts": "num_local_experts"}

NAMES = {
    **DECODER_NAMES,
    **QK_NORM_NAMES,
    **expert_names("layers.{}.mlp"),
    # Published Qwen3-VL MoEs have these transposed.
    "layers.{}.mlp.experts.gate_up_proj": "layers.{}.mlp.experts.gate_up.weight.T?",
    "layers.{}.mlp.experts.down_proj": "layers.{}.mlp.experts.down.weight.T?",
}

DEFAULTS = {
    "qwen3_vl_moe_text": {
        "intermediate_size": 5632, "num_attention_heads": 16, "num_key_value_heads": 16, "moe_intermediate_size": 1408,
        "max_position_embeddings": 128000, "num_local_experts": 60, "num_experts_per_tok": 4, "norm_topk_prob": True,
        "rope_theta": 500_000.0, "tie_word_embeddings": True,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Qwen3 MoE; absent attributes have the values of transformers' ``Qwen3MoeConfig``."""
    config.decoder()
    config.ignore("max_window_layers")
    width = config.size("hidden_size", 2048)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6))
    slides = config.flag("use_sliding_window")
    window = config.window(4096)
    attention = replace(
        grouped_attention(config, width, 32, 4, qk_norm=QKNorm(norm), longest=32768),
        window=window if slides else CAUSAL,
    )
    activation = config.activation("hidden_act", "silu")
    experts = Experts(
        GatedMLP(config.size("moe_intermediate_size", 768), activation),
        *config.experts("num_local_experts", 128, 8),
        shares="chosen" if config.flag("norm_topk_prob") else "all",
    )
    dense = GatedMLP(config.size("intermediate_size", 6144), activation)
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 151936)),
        layers=tuple(
            LayerSpec(attention, experts if sparse else dense, PreNorm(norm))
            for sparse in sparse_layers(config, config.size("num_hidden_layers", 24))
        ),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )
