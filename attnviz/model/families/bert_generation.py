"""BERT for generation (Rothe et al. 2020): a BERT without token types, an encoder or a causal decoder."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, Head, LayerNorm, PostNorm, Spec
from attnviz.model.families import names_without
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import PREFIX, bert_positions, bert_spec

__all__ = ["PREFIX"]

NAMES = {
    **names_without(BERT_NAMES, "token_type"),
    "lm_head.decoder.weight": "head.weight",
    "lm_head.decoder.bias": "head.bias",
    "lm_head.bias": "head.bias",
}

DEFAULTS = {
    "bert-generation": {
        "vocab_size": 50358, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a BERT for generation."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    found = bert_spec(config, Embedding(config.size("vocab_size"), bert_positions(config), norm=norm), PostNorm(norm))
    head = Head(tied=config.flag("tie_word_embeddings", True), bias=True)
    return replace(found, head=head) if found.causal else found
