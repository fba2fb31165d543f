"""ALBERT (Lan et al. 2020): BERT's layers with weights that many of them share, over small projected embeddings."""

from __future__ import annotations

from attnviz.attention.window import EVERYTHING
from attnviz.checkpoint.config_limits import require_sizes
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
    Projection,
    Spec,
)
from attnviz.model.families import TOKEN_CLASSIFIER, both

PREFIX = "albert."

NAMES = {
    "embeddings.word_embeddings.weight": "embed.tokens.weight",
    "embeddings.position_embeddings.weight": "embed.positions.weight",
    "embeddings.token_type_embeddings.weight": "embed.types.weight",
    **both("embeddings.LayerNorm", "embed.norm"),
    **both("encoder.embedding_hidden_mapping_in", "embed.project"),
    **both("encoder.albert_layer_groups.{}.attention.query", "layers.{}.attention.query"),
    **both("encoder.albert_layer_groups.{}.attention.key", "layers.{}.attention.key"),
    **both("encoder.albert_layer_groups.{}.attention.value", "layers.{}.attention.value"),
    **both("encoder.albert_layer_groups.{}.attention.dense", "layers.{}.attention.output"),
    **both("encoder.albert_layer_groups.{}.attention.LayerNorm", "layers.{}.attention.norm"),
    **both("encoder.albert_layer_groups.{}.ffn", "layers.{}.mlp.up"),
    **both("encoder.albert_layer_groups.{}.ffn_output", "layers.{}.mlp.down"),
    **both("encoder.albert_layer_groups.{}.full_layer_layer_norm", "layers.{}.mlp.norm"),
}


def spec(config: Config) -> Spec:
    """The facts of an ALBERT; absent attributes have the values of transformers' ``AlbertConfig``."""
    heads = config.size("num_attention_heads", 64)
    width = config.width("hidden_size", 4096, heads)
    config.only("position_embedding_type", "absolute")
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob", "chunk_size_feed_forward",
        "down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks",
    )  # fmt: skip
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    layer = LayerSpec(
        attention=AttentionSpec(heads, heads, width // heads, scale=(width // heads) ** -0.5, window=EVERYTHING),
        mlp=MLP(config.size("intermediate_size", 16384), config.activation("hidden_act", "gelu_new")),
        norms=PostNorm(norm),
    )
    stored = _stored(config)
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 30000),
            positions=Learned(config.size("max_position_embeddings", 512)),
            types=config.size("type_vocab_size", 2),
            norm=norm,
            projection=Projection(config.size("embedding_size", 128)),
        ),
        layers=(layer,) * len(stored),
        stored=stored,
    )


def _stored(config: Config) -> tuple[str, ...]:
    """The place of each layer: the steps go through the groups in order, and each runs all layers of its group."""
    steps, groups = config.size("num_hidden_layers", 12), config.size("num_hidden_groups", 1)
    inner = config.size("inner_group_num", 1)
    require_sizes({"num_hidden_layers": steps * inner})
    # Divided as transformers does, whose floats decide where the groups do not divide the steps.
    return tuple(f"{int(step / (steps / groups))}.albert_layers.{i}" for step in range(steps) for i in range(inner))


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """A linear map of the first token's state and a tanh, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    layers = (Dense(f"{PREFIX}pooler", "tanh"), Dense("classifier"))
    return Classifier(layers, "first")
