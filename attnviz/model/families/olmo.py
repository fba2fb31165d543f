"""OLMo (Groeneveld et al. 2024): a Llama whose norms have no weights, with bounded queries, keys and values."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    GatedMLP,
    LayerNorm,
    LayerSpec,
    PreNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, decoder_spec, names_without

PREFIX = "model."

NAMES = names_without(DECODER_NAMES, "norm")


def spec(config: Config) -> Spec:
    """The facts of an OLMo; absent attributes have the values of transformers' ``OlmoConfig``."""
    config.decoder()
    heads, width = config.size("num_attention_heads", 32), config.size("hidden_size", 4096)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = LayerNorm(1e-5, bias=False, weight=False)
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
            clip=config.optional_number("clip_qkv"),
        ),
        mlp=GatedMLP(config.size("intermediate_size", 11008), config.activation("hidden_act", "silu")),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=50304, layers=32)
