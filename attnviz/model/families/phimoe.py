"""Phi-3.5 MoE (Abdin et al. 2024): LayerNorms, rotary positions and two of several experts for each token."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    Experts,
    GatedMLP,
    Head,
    LayerNorm,
    LayerSpec,
    LongRope,
    NearBest,
    PreNorm,
    Rotary,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, LAYER_NORM_NAMES, both, expert_names, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, ".mlp."),
    **LAYER_NORM_NAMES,
    **expert_names("layers.{}.block_sparse_moe", theirs=("w1", "w3", "w2")),
    **expert_names("layers.{}.mlp", "router"),
    **both("lm_head", "head"),
}


def spec(config: Config) -> Spec:
    """The facts of a Phi-3.5 MoE; absent attributes have the values of transformers' ``PhimoeConfig``."""
    config.decoder()
    config.ignore("input_jitter_noise")
    heads, width = config.size("num_attention_heads", 32), config.size("hidden_size", 4096)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = LayerNorm(config.number("rms_norm_eps", 1e-5))
    config.only("num_experts_per_tok", 2)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads, 8),
            head_size=size,
            scale=size**-0.5,
            window=config.window(),
            position=_position(config, size),
            bias=bias,
            output_bias=bias,
        ),
        mlp=Experts(
            GatedMLP(config.size("intermediate_size", 6400), config.activation("hidden_act", "silu")),
            *config.experts("num_local_experts", 16, 2),
            shares=NearBest(2 * config.number("router_jitter_noise", 0.01)),
        ),
        norms=PreNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 32064)),
        layers=(layer,) * config.size("num_hidden_layers", 32),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings"), bias=config.flag("lm_head_bias")),
    )


def _position(config: Config, size: int) -> Rotary:
    """Transformers turns long texts by the factors of short ones too."""
    found = rotary(config, size, theta=1e6, longest=131072, magnitudes=True)
    if isinstance(found.scaling, LongRope):
        return replace(found, scaling=replace(found.scaling, long=found.scaling.short))
    return found
