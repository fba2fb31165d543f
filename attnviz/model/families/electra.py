"""ELECTRA (Clark et al. 2020): BERT's layers over embeddings of their own size, projected after their norm."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Classifier, Dense, LayerNorm, PostNorm, Projection, Spec
from attnviz.model.families import TOKEN_CLASSIFIER, both
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import bert_embedding, bert_positions, bert_spec

PREFIX = "electra."

NAMES = {**BERT_NAMES, **both("embeddings_project", "embed.project")}


DEFAULTS = {"electra": {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}}


def spec(config: Config) -> Spec:
    """The facts of an ELECTRA; absent attributes have the values of transformers' ``ElectraConfig``."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    size = config.size("embedding_size", 128)
    embedding = bert_embedding(config, bert_positions(config), norm)
    if size != config.size("hidden_size"):
        embedding = replace(embedding, projection=Projection(size))
    return bert_spec(config, embedding, PostNorm(norm))


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """A linear map of the first token's state and a GELU, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    layers = (Dense("classifier.dense", "gelu"), Dense("classifier.out_proj"))
    return Classifier(layers, "first")
