"""Helium (Kyutai 2025): a Llama with interleaved rotary positions, whose output projection has no bias."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import AttentionSpec, Embedding, GatedMLP, Head, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import names_without
from attnviz.model.families.llama import NAMES as LLAMA_NAMES

PREFIX = "model."

NAMES = names_without(LLAMA_NAMES, "o_proj.bias")


def spec(config: Config) -> Spec:
    """The facts of a Helium; absent attributes have the values of transformers' ``HeliumConfig``."""
    config.decoder()
    heads, size = config.size("num_attention_heads", 20), config.size("head_dim", 128)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-8))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads, 20),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, theta=100_000.0, longest=4096, interleaved=True),
            bias=config.flag("attention_bias"),
            output_bias=False,
        ),
        mlp=GatedMLP(
            config.size("intermediate_size", 7040), config.activation("hidden_act", "silu"), config.flag("mlp_bias")
        ),
        norms=PreNorm(norm),
    )
    return Spec(
        width=config.size("hidden_size", 2560),
        embedding=Embedding(config.size("vocab_size", 48000)),
        layers=(layer,) * config.size("num_hidden_layers", 24),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )
