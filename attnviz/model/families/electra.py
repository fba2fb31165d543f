"""ELECTRA (Clark et al. 2020): BERT's layers over embeddings of their own size, projected after their norm."""

from __future__ import annotations

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
from attnviz.model.families.bert import NAMES as BERT_NAMES

PREFIX = "electra."

NAMES = {**BERT_NAMES, **both("embeddings_project", "embed.project")}


def spec(config: Config) -> Spec:
    """The facts of an ELECTRA; absent attributes have the values of transformers' ``ElectraConfig``."""
    heads = config.size("num_attention_heads", 4)
    width = config.width("hidden_size", 256, heads)
    size = config.size("embedding_size", 128)
    config.only("position_embedding_type", "absolute")
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "chunk_size_feed_forward",
        "summary_activation", "summary_last_dropout", "summary_type", "summary_use_proj",
    )  # fmt: skip
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads, heads, width // heads, scale=(width // heads) ** -0.5, window=config.direction()
        ),
        mlp=MLP(config.size("intermediate_size", 1024), config.activation("hidden_act", "gelu")),
        norms=PostNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 30522),
            positions=Learned(config.size("max_position_embeddings", 512)),
            types=config.size("type_vocab_size", 2),
            norm=norm,
            projection=None if size == width else Projection(size),
        ),
        layers=(layer,) * config.size("num_hidden_layers", 12),
    )


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """A linear map of the first token's state and a GELU, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    layers = (Dense("classifier.dense", "gelu"), Dense("classifier.out_proj"))
    return Classifier(layers, "first")
