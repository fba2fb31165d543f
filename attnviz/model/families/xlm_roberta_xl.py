"""XLM-RoBERTa XL (Goyal et al. 2021): an XLM-RoBERTa with pre-norms, whose embeddings are not normed."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import LayerNorm, PreNorm, Spec
from attnviz.model.families import both, names_without
from attnviz.model.families.bert import bert_embedding, bert_spec
from attnviz.model.families.roberta import NAMES as ROBERTA_NAMES
from attnviz.model.families.roberta import PREFIX, classifier, roberta_positions

__all__ = ["PREFIX", "classifier"]

NAMES = {
    **names_without(ROBERTA_NAMES, "LayerNorm"),
    **both("encoder.layer.{}.attention.self_attn_layer_norm", "layers.{}.attention.norm"),
    **both("encoder.layer.{}.LayerNorm", "layers.{}.mlp.norm"),
    **both("encoder.LayerNorm", "norm"),
}

DEFAULTS = {
    "xlm-roberta-xl": {
        "vocab_size": 250880, "hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32,
        "intermediate_size": 10240, "max_position_embeddings": 514, "type_vocab_size": 1,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of an XLM-RoBERTa XL."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5))
    return bert_spec(config, bert_embedding(config, roberta_positions(config), None), PreNorm(norm))
