"""RoBERTa (Liu et al. 2019): BERT's layers, with positions that count only tokens other than padding, from its id on.

XLM-RoBERTa (Conneau et al. 2020) and CamemBERT (Martin et al. 2020) are the same model.
"""

from __future__ import annotations

from attnviz.errors import ModelError
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Classifier, Dense, LayerNorm, Learned, PostNorm, Spec
from attnviz.model.families import TOKEN_CLASSIFIER
from attnviz.model.families.bert import NAMES, bert_embedding, bert_spec

__all__ = ["NAMES", "spec"]

PREFIX = "roberta."

DEFAULTS = {"roberta": {"vocab_size": 50265}}


def spec(config: Config) -> Spec:
    """The facts of a RoBERTa; absent attributes have the values of transformers' ``RobertaConfig``."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    return bert_spec(config, bert_embedding(config, roberta_positions(config), norm), PostNorm(norm))


def roberta_positions(config: Config) -> Learned:
    """Rows from behind the padding's own on, for tokens that are no padding."""
    padding, rows = config.count("pad_token_id", 1), config.size("max_position_embeddings", 512)
    if rows < padding + 2:
        raise ModelError(
            f"config.json: max_position_embeddings is {rows}, and none is left behind that of padding, {padding}"
        )
    return Learned(rows - padding - 1, offset=padding + 1, padding=padding)


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """A linear map of the first token's state and a tanh, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    layers = (Dense("classifier.dense", "tanh"), Dense("classifier.out_proj"))
    return Classifier(layers, "first")
