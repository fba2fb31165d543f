"""BERT (Devlin et al. 2019): an encoder with post-norms and learned positions; a causal one where ``is_decoder``."""

from __future__ import annotations

from collections.abc import Callable

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
    PreNorm,
    Rotary,
    Spec,
)
from attnviz.model.families import TOKEN_CLASSIFIER, Names, both

PREFIX = "bert."
SPELLINGS = {"gamma": "weight", "beta": "bias"}

NAMES: Names = {
    "embeddings.word_embeddings.weight": "embed.tokens.weight",
    "embeddings.position_embeddings.weight": "embed.positions.weight",
    "embeddings.token_type_embeddings.weight": "embed.types.weight",
    **both("embeddings.LayerNorm", "embed.norm"),
    **both("encoder.layer.{}.attention.self.query", "layers.{}.attention.query"),
    **both("encoder.layer.{}.attention.self.key", "layers.{}.attention.key"),
    **both("encoder.layer.{}.attention.self.value", "layers.{}.attention.value"),
    **both("encoder.layer.{}.attention.output.dense", "layers.{}.attention.output"),
    **both("encoder.layer.{}.attention.output.LayerNorm", "layers.{}.attention.norm"),
    **both("encoder.layer.{}.intermediate.dense", "layers.{}.mlp.up"),
    **both("encoder.layer.{}.output.dense", "layers.{}.mlp.down"),
    **both("encoder.layer.{}.output.LayerNorm", "layers.{}.mlp.norm"),
}


def spec(config: Config) -> Spec:
    """The facts of a BERT; absent attributes have the values of transformers' ``BertConfig``."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    return bert_spec(config, bert_embedding(config, bert_positions(config), norm), PostNorm(norm))


def bert_positions(config: Config) -> Learned:
    """A row for each position."""
    return Learned(config.size("max_position_embeddings", 512))


def bert_embedding(config: Config, positions: Learned | None, norm: LayerNorm | None) -> Embedding:
    """The embeddings of BERT's kin: token types are added too."""
    return Embedding(config.size("vocab_size", 30522), positions, config.size("type_vocab_size", 2), norm)


def bert_spec(
    config: Config,
    embedding: Embedding,
    norms: PostNorm | PreNorm,
    *,
    position: Rotary | None = None,
    head_size: int | None = None,
) -> Spec:
    """The facts of BERT's kin, whose layers differ in ``norms``, in the ``position`` that the scores know, and in the
    ``head_size`` where heads are not as wide as the model together.
    """
    heads = config.size("num_attention_heads", 12)
    width = config.width("hidden_size", 768, heads)
    if position is None:
        config.only("position_embedding_type", "absolute")
    else:
        config.ignore("position_embedding_type")
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "chunk_size_feed_forward",
        "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type", "summary_last_dropout",
    )  # fmt: skip
    size = head_size or width // heads
    attention = AttentionSpec(heads, heads, size, size**-0.5, config.direction(), position)
    mlp = MLP(config.size("intermediate_size", 3072), config.activation("hidden_act", "gelu"))
    return Spec(
        width=width,
        embedding=embedding,
        layers=(LayerSpec(attention, mlp, norms),) * config.size("num_hidden_layers", 12),
        final_norm=norms.norm if isinstance(norms, PreNorm) else None,
    )


def pooled_classifier(prefix: str) -> Callable[..., Classifier]:
    """The head of models whose pooler has ``prefix``: a linear map of the first token's state and a tanh, then the
    labels.
    """

    def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
        if each:
            return TOKEN_CLASSIFIER
        return Classifier((Dense(f"{prefix}pooler.dense", "tanh"), Dense("classifier")), "first")

    return classifier


classifier = pooled_classifier(PREFIX)
