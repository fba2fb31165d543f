"""Megatron-BERT (Shoeybi et al. 2019): BERT with pre-norms."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import LayerNorm, PreNorm, Spec
from attnviz.model.families import both, names_without
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import PREFIX, bert_embedding, bert_positions, bert_spec, classifier

__all__ = ["PREFIX", "classifier"]

NAMES = {
    **names_without(BERT_NAMES, "LayerNorm"),
    **both("encoder.layer.{}.attention.ln", "layers.{}.attention.norm"),
    **both("encoder.layer.{}.ln", "layers.{}.mlp.norm"),
    **both("encoder.ln", "norm"),
}

DEFAULTS = {
    "megatron-bert": {
        "vocab_size": 29056, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Megatron-BERT."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    return bert_spec(config, bert_embedding(config, bert_positions(config), None), PreNorm(norm))
