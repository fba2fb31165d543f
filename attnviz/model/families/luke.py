"""LUKE (Yamada et al. 2020) of a text without entities: a RoBERTa."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import roberta
from attnviz.model.families.bert import pooled_classifier
from attnviz.model.families.roberta import NAMES

__all__ = ["NAMES"]

PREFIX = "luke."
classifier = pooled_classifier(PREFIX)
DEFAULTS = {"luke": {"vocab_size": 50267}}


def spec(config: Config) -> Spec:
    """The facts of a LUKE; what it has for entities is not read."""
    config.ignore("bert_model_name", "cls_entity_prediction", "entity_emb_size", "entity_vocab_size")
    config.ignore("use_entity_aware_attention")  # words have queries of their own for entities
    return roberta.spec(config)
