"""RoBERTa with pre-norms (Wettig et al. 2023)."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import LayerNorm, PreNorm, Spec
from attnviz.model.families import both, names_without
from attnviz.model.families.bert import bert_embedding, bert_spec
from attnviz.model.families.roberta import NAMES as ROBERTA_NAMES
from attnviz.model.families.roberta import classifier, roberta_positions

__all__ = ["classifier"]

PREFIX = "roberta_prelayernorm."

NAMES = {
    **names_without(ROBERTA_NAMES, "output.LayerNorm"),
    **both("encoder.layer.{}.attention.LayerNorm", "layers.{}.attention.norm"),
    **both("encoder.layer.{}.intermediate.LayerNorm", "layers.{}.mlp.norm"),
    **both("LayerNorm", "norm"),
}

DEFAULTS = {"roberta-prelayernorm": {"vocab_size": 50265}}


def spec(config: Config) -> Spec:
    """The facts of a RoBERTa with pre-norms."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    return bert_spec(config, bert_embedding(config, roberta_positions(config), norm), PreNorm(norm))
