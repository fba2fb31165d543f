"""Gemma (Gemma Team 2024): a Llama with scaled embeddings, RMS norms around one and a head size of its own."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import AttentionSpec, Embedding, GatedMLP, Head, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES

PREFIX = "model."

NAMES = DECODER_NAMES


def spec(config: Config) -> Spec:
    """The facts of a Gemma; absent attributes have the values of transformers' ``GemmaConfig``."""
    config.decoder()
    config.expect("use_bidirectional_attention", False)
    config.ignore("hidden_activation")
    heads, size, width = (
        config.size("num_attention_heads", 16),
        config.size("head_dim", 256),
        config.size("hidden_size", 3072),
    )
    bias = config.flag("attention_bias")
    activation = config.activation("hidden_act", "gelu_pytorch_tanh")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6), offset=1.0)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads, 16),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, longest=8192),
            bias=bias,
            output_bias=bias,
        ),
        # The published configs say "gelu" and mean its tanh form, as the models were trained.
        mlp=GatedMLP(
            config.size("intermediate_size", 24576), "gelu_pytorch_tanh" if activation == "gelu" else activation
        ),
        norms=PreNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 256000), scale=width**0.5),
        layers=(layer,) * config.size("num_hidden_layers", 28),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", default=True)),
    )
