"""nanochat (Karpathy 2025): RMS norms without weights, also of the embeddings and of rotated queries and keys."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    Head,
    LayerSpec,
    PreNorm,
    QKNorm,
    RMSNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "norm", ".mlp."),
    "layers.{}.mlp.fc1.weight": "layers.{}.mlp.up.weight",
    "layers.{}.mlp.fc2.weight": "layers.{}.mlp.down.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a nanochat; absent attributes have the values of transformers' ``NanoChatConfig``."""
    config.decoder()
    heads, width = config.size("num_attention_heads", 6), config.size("hidden_size", 768)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6), weight=False)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=replace(rotary(config, size), backwards=True),
            bias=bias,
            output_bias=bias,
            qk_norm=QKNorm(norm, rotated=True),
        ),
        mlp=MLP(config.size("intermediate_size", 8192), config.activation("hidden_act", "relu2"), bias=False),
        norms=PreNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 50304), norm=norm),
        layers=(layer,) * config.size("num_hidden_layers", 12),
        final_norm=norm,
        head=Head(
            tied=config.flag("tie_word_embeddings"), softcap=config.optional_number("final_logit_softcapping", 15.0)
        ),
    )
