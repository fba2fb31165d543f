"""RemBERT (Chung et al. 2021): BERT's layers over small embeddings, which are projected after their norm."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Classifier, Dense, LayerNorm, PostNorm, Projection, Spec
from attnviz.model.families import TOKEN_CLASSIFIER, both
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import bert_embedding, bert_positions, bert_spec

PREFIX = "rembert."

NAMES = {**BERT_NAMES, **both("encoder.embedding_hidden_mapping_in", "embed.project")}

DEFAULTS = {
    "rembert": {
        "vocab_size": 250300, "hidden_size": 1152, "num_hidden_layers": 32, "num_attention_heads": 18,
        "intermediate_size": 4608,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a RemBERT."""
    config.ignore("classifier_dropout_prob", "output_embedding_size")  # of heads
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    embedding = bert_embedding(config, bert_positions(config), norm)
    projection = Projection(config.size("input_embedding_size", 256))
    return bert_spec(config, replace(embedding, projection=projection), PostNorm(norm))


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """A linear map of the first token's state and a tanh, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    return Classifier((Dense(f"{PREFIX}pooler.dense", "tanh"), Dense("classifier")), "first")
