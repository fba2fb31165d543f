"""Qwen2 MoE (Yang et al. 2024): a Qwen2 with a choice of experts, and one that reads all tokens, for MLPs."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, Experts, GatedMLP, Head, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, expert_names, grouped_attention, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "o_proj.bias"),
    **expert_names("layers.{}.mlp"),
    "layers.{}.mlp.shared_expert.gate_proj.weight": "layers.{}.mlp.shared.gate.weight",
    "layers.{}.mlp.shared_expert.up_proj.weight": "layers.{}.mlp.shared.up.weight",
    "layers.{}.mlp.shared_expert.down_proj.weight": "layers.{}.mlp.shared.down.weight",
    "layers.{}.mlp.shared_expert_gate.weight": "layers.{}.mlp.shared_gate.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a Qwen2 MoE; absent attributes have the values of transformers' ``Qwen2MoeConfig``."""
    config.decoder()
    width = config.size("hidden_size", 2048)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6))
    attention = replace(
        grouped_attention(config, width, 16, 16, bias=config.flag("qkv_bias", True), longest=32768), output_bias=False
    )
    activation = config.activation("hidden_act", "silu")
    experts = Experts(
        GatedMLP(config.size("moe_intermediate_size", 1408), activation),
        *config.experts("num_experts", 60, 4),
        shares="chosen" if config.flag("norm_topk_prob") else "all",
        shared=GatedMLP(config.size("shared_expert_intermediate_size", 5632), activation),
        gated=True,
    )
    dense = GatedMLP(config.size("intermediate_size", 5632), activation)
    count = config.size("num_hidden_layers", 24)
    window, below = config.count("sliding_window", 4096), config.number("max_window_layers", 28)
    slides = config.flag("use_sliding_window") and window > 0
    kinds = ["sliding_attention" if slides and not i % 2 and i < below else "full_attention" for i in range(count)]
    windows = config.layer_windows(window if slides else None, kinds)
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 151936)),
        layers=tuple(
            LayerSpec(replace(attention, window=window), experts if sparse else dense, PreNorm(norm))
            for window, sparse in zip(windows, sparse_layers(config, count), strict=True)
        ),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )


def sparse_layers(config: Config, count: int) -> list[bool]:
    """Which of ``count`` layers have experts: each that ``decoder_sparse_step`` counts but the ``mlp_only_layers``."""
    step, dense = config.size("decoder_sparse_step", 1), config.get("mlp_only_layers", [])
    return [(i + 1) % step == 0 and i not in dense for i in range(count)]
