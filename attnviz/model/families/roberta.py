"""RoBERTa (Liu et al. 2019): BERT's layers, with positions that count only tokens other than padding, from its id on.

XLM-RoBERTa (Conneau et al. 2020) and CamemBERT (Martin et al. 2020) are the same model.
"""

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
    Spec,
)
from attnviz.model.families import TOKEN_CLASSIFIER
from attnviz.model.families.bert import NAMES as BERT_NAMES

PREFIX = "roberta."

NAMES = BERT_NAMES

DEFAULTS = {"camembert": {"vocab_size": 30522}, "xlm-roberta": {"vocab_size": 30522}}


def spec(config: Config) -> Spec:
    """The facts of a RoBERTa; absent attributes have the values of transformers' ``RobertaConfig``."""
    heads = config.size("num_attention_heads", 12)
    width = config.width("hidden_size", 768, heads)
    padding = config.count("pad_token_id", 1)
    config.only("position_embedding_type", "absolute")
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "chunk_size_feed_forward",
    )  # fmt: skip
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads, heads, width // heads, scale=(width // heads) ** -0.5, window=config.direction()
        ),
        mlp=MLP(config.size("intermediate_size", 3072), config.activation("hidden_act", "gelu")),
        norms=PostNorm(norm),
    )
    rows = config.size("max_position_embeddings", 512)
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 50265),
            positions=Learned(rows - padding - 1, offset=padding + 1, padding=padding),
            types=config.size("type_vocab_size", 2),
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
