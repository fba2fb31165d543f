"""Jina's third embeddings (Sturua et al. 2024): an XLM-RoBERTa with rotary positions."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import both, gte, names_without
from attnviz.model.families.roberta import PREFIX, classifier

__all__ = ["PREFIX", "classifier"]

NAMES = {
    **names_without(gte.ROTARY_BERT_NAMES, ".mlp."),
    **both("layers.{}.mlp.fc1", "layers.{}.mlp.up"),
    **both("layers.{}.mlp.fc2", "layers.{}.mlp.down"),
    # In files:
    **both("emb_ln", "embed.norm"),
    **both("encoder.layers.{}.mixer.Wqkv", "layers.{}.attention.qkv"),
    **both("encoder.layers.{}.mixer.out_proj", "layers.{}.attention.output"),
    **both("encoder.layers.{}.norm1", "layers.{}.attention.norm"),
    **both("encoder.layers.{}.mlp.fc1", "layers.{}.mlp.up"),
    **both("encoder.layers.{}.mlp.fc2", "layers.{}.mlp.down"),
    **both("encoder.layers.{}.norm2", "layers.{}.mlp.norm"),
}

DEFAULTS = {
    "jina_embeddings_v3": {
        "vocab_size": 250002, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
        "intermediate_size": 4096, "max_position_embeddings": 8194, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of Jina's third embeddings."""
    return gte.rotary_bert(config, theta=20_000.0)
