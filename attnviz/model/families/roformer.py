"""RoFormer (Su et al. 2021): BERT's layers with rotary positions, whose sines and cosines checkpoints contain."""

from __future__ import annotations

from dataclasses import replace

from attnviz.errors import UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Classifier, Dense, LayerNorm, PostNorm, Projection, Rotary, Spec
from attnviz.model.families import TOKEN_CLASSIFIER, both
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import bert_embedding, bert_spec

PREFIX = "roformer."

NAMES = {
    **{theirs: our for theirs, our in BERT_NAMES.items() if our != "embed.positions.weight"},
    **both("embeddings_project", "embed.project"),
    "encoder.embed_positions.weight": "rotary.weight",
}

DEFAULTS = {"roformer": {"vocab_size": 50000, "max_position_embeddings": 1536}}


def spec(config: Config) -> Spec:
    """The facts of a RoFormer; absent attributes have the values of transformers' ``RoFormerConfig``."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    heads = config.size("num_attention_heads", 12)
    width = config.width("hidden_size", 768, heads)
    size = width // heads
    if size % 2:
        raise UnsupportedModel(f"config.json: heads have the odd size {size}, and rotary positions turn pairs")
    embedding, narrow = bert_embedding(config, None, norm), config.size("embedding_size", width)
    if narrow != width:
        embedding = replace(embedding, projection=Projection(narrow))
    position = Rotary(
        10_000.0,
        size,
        interleaved=True,
        table=config.size("max_position_embeddings", 1536),
        values=config.flag("rotary_value"),
    )
    return bert_spec(config, embedding, PostNorm(norm), position=position)


def classifier(config: Config, *, each: bool) -> Classifier:
    """A linear map of the first token's state and the layers' activation, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    layers = (Dense("classifier.dense", config.activation("hidden_act", "gelu")), Dense("classifier.out_proj"))
    return Classifier(layers, "first")
