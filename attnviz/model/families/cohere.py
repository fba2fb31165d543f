"""Command R (Cohere 2024): attention and MLP side by side behind one norm without bias, interleaved rotary positions,
and where configured a norm of each head's queries and keys.
"""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    GatedMLP,
    Head,
    LayerNorm,
    LayerSpec,
    ParallelNorm,
    QKNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, names_without

PREFIX = "model."

NAMES = {**names_without(DECODER_NAMES, "post_attention_layernorm"), **QK_NORM_NAMES}


def spec(config: Config) -> Spec:
    """The facts of a Command R; absent attributes have the values of transformers' ``CohereConfig``."""
    config.decoder()
    heads, width = config.size("num_attention_heads", 64), config.size("hidden_size", 8192)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5), bias=False)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, theta=500_000.0, longest=8192, interleaved=True),
            bias=bias,
            output_bias=bias,
            qk_norm=QKNorm(norm, over="each") if config.flag("use_qk_norm") else None,
        ),
        mlp=GatedMLP(config.size("intermediate_size", 22528), config.activation("hidden_act", "silu")),
        norms=ParallelNorm(norm, shared=True),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 256000)),
        layers=(layer,) * config.size("num_hidden_layers", 40),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", default=True), scale=config.number("logit_scale", 0.0625)),
    )
