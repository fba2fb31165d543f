"""Gemma 2 (Gemma Team 2024): norms before and after, soft caps on the scores, every other layer with a window."""

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
    RMSNorm,
    SandwichNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES

PREFIX = "model."

NAMES = {
    **DECODER_NAMES,
    "layers.{}.post_attention_layernorm.weight": "layers.{}.attention.norm_after.weight",
    "layers.{}.pre_feedforward_layernorm.weight": "layers.{}.mlp.norm.weight",
    "layers.{}.post_feedforward_layernorm.weight": "layers.{}.mlp.norm_after.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a Gemma 2; absent attributes have the values of transformers' ``Gemma2Config``."""
    config.decoder()
    config.expect("use_bidirectional_attention", False)
    # Older names, which transformers passes over.
    config.ignore("hidden_act", "sliding_window_size")
    heads, size, width = (
        config.size("num_attention_heads", 8),
        config.size("head_dim", 256),
        config.size("hidden_size", 2304),
    )
    bias = config.flag("attention_bias")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6), offset=1.0)
    attention = AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads, 4),
        head_size=size,
        scale=config.number("query_pre_attn_scalar", 256, above=0) ** -0.5,
        window=CAUSAL,
        position=rotary(config, size, longest=8192),
        softcap=config.optional_number("attn_logit_softcapping", 50.0),
        bias=bias,
        output_bias=bias,
    )
    mlp = GatedMLP(config.size("intermediate_size", 9216), config.activation("hidden_activation", "gelu_pytorch_tanh"))
    layer_windows = config.windows_by_pattern(config.size("num_hidden_layers", 26), 2)
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 256000), scale=width**0.5),
        layers=tuple(LayerSpec(replace(attention, window=window), mlp, SandwichNorm(norm)) for window in layer_windows),
        final_norm=norm,
        head=Head(
            tied=config.flag("tie_word_embeddings", default=True),
            softcap=config.optional_number("final_logit_softcapping", 30.0),
        ),
    )
