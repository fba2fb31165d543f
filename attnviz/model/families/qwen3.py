"""Qwen3 (Yang et al. 2025): a Llama with queries and keys normed in each head and windows in the upper layers."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    GatedMLP,
    Head,
    LayerSpec,
    PreNorm,
    QKNorm,
    RMSNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES

PREFIX = "model."

NAMES = {**DECODER_NAMES, **QK_NORM_NAMES}

DEFAULTS = {"qwen3_vl_text": {"max_position_embeddings": 128000, "rope_theta": 500_000.0}}


def spec(config: Config) -> Spec:
    """The facts of a Qwen3; absent attributes have the values of transformers' ``Qwen3Config``."""
    config.decoder()
    heads, size = config.size("num_attention_heads", 32), config.size("head_dim", 128)
    bias = config.flag("attention_bias")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6))
    attention = AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads, 32),
        head_size=size,
        scale=size**-0.5,
        window=CAUSAL,
        position=rotary(config, size, longest=32768),
        bias=bias,
        output_bias=bias,
        qk_norm=QKNorm(norm),
    )
    mlp = GatedMLP(config.size("intermediate_size", 22016), config.activation("hidden_act", "silu"))
    layer_windows = config.upper_windows(config.size("num_hidden_layers", 32))
    return Spec(
        width=config.size("hidden_size", 4096),
        embedding=Embedding(config.size("vocab_size", 151936)),
        layers=tuple(LayerSpec(replace(attention, window=window), mlp, PreNorm(norm)) for window in layer_windows),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )
