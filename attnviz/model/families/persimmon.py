"""Persimmon (Elsen et al. 2023): a GPT-NeoX with squared ReLUs, and queries and keys normed in each head."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    LayerNorm,
    LayerSpec,
    PreNorm,
    QKNorm,
    Spec,
)
from attnviz.model.families import Names, both, decoder_spec

PREFIX = "model."

NAMES: Names = {
    "embed_tokens.weight": "embed.tokens.weight",
    **both("layers.{}.input_layernorm", "layers.{}.attention.norm"),
    **both("layers.{}.self_attn.query_key_value", "layers.{}.attention.groups"),
    **both("layers.{}.self_attn.q_layernorm", "layers.{}.attention.query_norm"),
    **both("layers.{}.self_attn.k_layernorm", "layers.{}.attention.key_norm"),
    **both("layers.{}.self_attn.dense", "layers.{}.attention.output"),
    **both("layers.{}.post_attention_layernorm", "layers.{}.mlp.norm"),
    **both("layers.{}.mlp.dense_h_to_4h", "layers.{}.mlp.up"),
    **both("layers.{}.mlp.dense_4h_to_h", "layers.{}.mlp.down"),
    **both("final_layernorm", "norm"),
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a Persimmon; absent attributes have the values of transformers' ``PersimmonConfig``."""
    config.decoder()
    config.ignore("rms_norm_eps")  # of a Llama, which its config began as
    heads = config.size("num_attention_heads", 64)
    width = config.width("hidden_size", 4096, heads)
    size = width // heads
    config.only("num_key_value_heads", heads)
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=heads,
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, partial=0.5, longest=16384),
            qk_norm=QKNorm(norm) if config.flag("qk_layernorm", True) else None,
        ),
        mlp=MLP(config.size("intermediate_size", 16384), config.activation("hidden_act", "relu2")),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=262144, layers=36)
