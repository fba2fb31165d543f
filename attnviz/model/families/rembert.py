"""RemBERT (Chung et al. 2021): BERT's layers over small embeddings, which are projected after their norm."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import LayerNorm, PostNorm, Projection, Spec
from attnviz.model.families import both
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import bert_embedding, bert_positions, bert_spec, pooled_classifier

PREFIX = "rembert."
classifier = pooled_classifier(PREFIX)

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
