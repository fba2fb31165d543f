"""ERNIE 4.5 (Baidu 2025): a Llama with interleaved rotary positions."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import AttentionSpec, Embedding, GatedMLP, Head, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families.llama import NAMES as LLAMA_NAMES

PREFIX = "model."

NAMES = LLAMA_NAMES


def spec(config: Config) -> Spec:
    """The facts of an ERNIE 4.5; absent attributes have the values of transformers' ``Ernie4_5Config``."""
    config.decoder()
    heads, size, bias = config.size("num_attention_heads", 16), config.size("head_dim", 128), config.flag("use_bias")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads, 2),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, theta=500_000.0, longest=131072, interleaved=True),
            bias=bias,
            output_bias=bias,
        ),
        mlp=GatedMLP(config.size("intermediate_size", 3072), config.activation("hidden_act", "silu"), bias),
        norms=PreNorm(norm),
    )
    return Spec(
        width=config.size("hidden_size", 1024),
        embedding=Embedding(config.size("vocab_size", 103424)),
        layers=(layer,) * config.size("num_hidden_layers", 18),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )
