"""OLMo 2 (OLMo Team 2025): norms behind attention and MLP, and over all queries and all keys."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    BranchNorm,
    GatedMLP,
    LayerSpec,
    QKNorm,
    RMSNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, decoder_spec, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "input_layernorm"),
    **QK_NORM_NAMES,
    "layers.{}.post_attention_layernorm.weight": "layers.{}.attention.norm.weight",
    "layers.{}.post_feedforward_layernorm.weight": "layers.{}.mlp.norm.weight",
}


def spec(config: Config) -> Spec:
    """The facts of an OLMo 2; absent attributes have the values of transformers' ``Olmo2Config``."""
    config.decoder()
    heads, width = config.size("num_attention_heads", 32), config.size("hidden_size", 4096)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size),
            bias=bias,
            output_bias=bias,
            qk_norm=QKNorm(norm, over="width"),
        ),
        mlp=GatedMLP(config.size("intermediate_size", 11008), config.activation("hidden_act", "silu")),
        norms=BranchNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=50304, layers=32)
