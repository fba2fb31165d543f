"""MPNet (Song et al. 2020): RoBERTa's encoder without token types, and a bias on the scores for each distance."""

from __future__ import annotations

from attnviz.attention.window import EVERYTHING
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Classifier,
    Dense,
    Embedding,
    LayerNorm,
    LayerSpec,
    Learned,
    PostNorm,
    RelativeBuckets,
    Spec,
)
from attnviz.model.families import TOKEN_CLASSIFIER, both

PREFIX = "mpnet."

NAMES = {
    "embeddings.word_embeddings.weight": "embed.tokens.weight",
    "embeddings.position_embeddings.weight": "embed.positions.weight",
    **both("embeddings.LayerNorm", "embed.norm"),
    "encoder.relative_attention_bias.weight": "relative.weight",
    **both("encoder.layer.{}.attention.attn.q", "layers.{}.attention.query"),
    **both("encoder.layer.{}.attention.attn.k", "layers.{}.attention.key"),
    **both("encoder.layer.{}.attention.attn.v", "layers.{}.attention.value"),
    **both("encoder.layer.{}.attention.attn.o", "layers.{}.attention.output"),
    **both("encoder.layer.{}.attention.LayerNorm", "layers.{}.attention.norm"),
    **both("encoder.layer.{}.intermediate.dense", "layers.{}.mlp.up"),
    **both("encoder.layer.{}.output.dense", "layers.{}.mlp.down"),
    **both("encoder.layer.{}.output.LayerNorm", "layers.{}.mlp.norm"),
}

_PADDING = 1  # whatever pad_token_id is: transformers counts positions so


def spec(config: Config) -> Spec:
    """The facts of an MPNet; absent attributes have the values of transformers' ``MPNetConfig``."""
    heads = config.size("num_attention_heads", 12)
    width = config.width("hidden_size", 768, heads)
    # transformers sorts distances into 32 buckets, and never into as many as a config says.
    buckets = config.expect("relative_attention_num_buckets", 32)
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore("hidden_dropout_prob", "attention_probs_dropout_prob", "chunk_size_feed_forward")
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads,
            heads,
            width // heads,
            scale=(width // heads) ** -0.5,
            window=EVERYTHING,
            position=RelativeBuckets(buckets, max_distance=128, bidirectional=True),
        ),
        mlp=MLP(config.size("intermediate_size", 3072), config.activation("hidden_act", "gelu")),
        norms=PostNorm(norm),
    )
    rows = config.size("max_position_embeddings", 512)
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 30527),
            positions=Learned(rows - _PADDING - 1, offset=_PADDING + 1, padding=_PADDING),
            norm=norm,
        ),
        layers=(layer,) * config.size("num_hidden_layers", 12),
    )


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """A linear map of the first token's state and a tanh, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    layers = (Dense("classifier.dense", "tanh"), Dense("classifier.out_proj"))
    return Classifier(layers, "first")
