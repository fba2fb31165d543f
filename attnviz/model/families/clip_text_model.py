"""CLIP's text model (Radford et al. 2021): a decoder with learned positions, whose end token stands for a text."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL, KeyWindow
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    LayerNorm,
    LayerSpec,
    Learned,
    PreNorm,
    Spec,
)
from attnviz.model.families import both

PREFIX = "text_model."

NAMES = {
    "embeddings.token_embedding.weight": "embed.tokens.weight",
    "embeddings.position_embedding.weight": "embed.positions.weight",
    **both("encoder.layers.{}.self_attn.q_proj", "layers.{}.attention.query"),
    **both("encoder.layers.{}.self_attn.k_proj", "layers.{}.attention.key"),
    **both("encoder.layers.{}.self_attn.v_proj", "layers.{}.attention.value"),
    **both("encoder.layers.{}.self_attn.out_proj", "layers.{}.attention.output"),
    **both("encoder.layers.{}.layer_norm1", "layers.{}.attention.norm"),
    **both("encoder.layers.{}.mlp.fc1", "layers.{}.mlp.up"),
    **both("encoder.layers.{}.mlp.fc2", "layers.{}.mlp.down"),
    **both("encoder.layers.{}.layer_norm2", "layers.{}.mlp.norm"),
    **both("final_layer_norm", "norm"),
}


def spec(config: Config) -> Spec:
    """The facts of CLIP's text model; absent attributes have the values of transformers' ``CLIPTextConfig``."""
    config.ignore("projection_dim", "dropout")
    return text_spec(
        config, window=CAUSAL, vocabulary=49408, width=512, layers=12, heads=8, longest=77, activation="quick_gelu",
        eps=1e-5,
    )  # fmt: skip


def text_spec(
    config: Config,
    *,
    window: KeyWindow,
    vocabulary: int,
    width: int,
    layers: int,
    heads: int,
    longest: int,
    activation: str,
    eps: float,
) -> Spec:
    """The facts of a text model beside one of pictures; the arguments behind the ``window`` are defaults."""
    config.decoder()
    width = config.size("hidden_size", width)
    heads, norm = config.size("num_attention_heads", heads), LayerNorm(config.number("layer_norm_eps", eps))
    size = config.width("hidden_size", width, heads) // heads
    layer = LayerSpec(
        AttentionSpec(heads, heads, size, size**-0.5, window),
        MLP(config.size("intermediate_size", 4 * width), config.activation("hidden_act", activation)),
        PreNorm(norm),
    )
    return Spec(
        width,
        Embedding(config.size("vocab_size", vocabulary), Learned(config.size("max_position_embeddings", longest))),
        (layer,) * config.size("num_hidden_layers", layers),
        final_norm=norm,
    )
