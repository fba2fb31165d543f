"""ESM (Rives et al. 2021; Lin et al. 2023), of proteins: a BERT with pre-norms, and rotary or RoBERTa's positions."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, PreNorm, Rotary, Spec
from attnviz.model.families import both, names_without
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import SPELLINGS, bert_spec
from attnviz.model.families.roberta import classifier, roberta_positions

__all__ = ["SPELLINGS", "classifier"]

PREFIX = "esm."

NAMES = {
    **names_without(BERT_NAMES, "LayerNorm", "token_type"),
    **both("embeddings.layer_norm", "embed.norm"),
    **both("encoder.layer.{}.attention.LayerNorm", "layers.{}.attention.norm"),
    **both("encoder.layer.{}.LayerNorm", "layers.{}.mlp.norm"),
    **both("encoder.emb_layer_norm_after", "norm"),
    "rotary_embeddings.inv_freq": "rotary.weight",
    # In files: as transformers 5 calls it there, and as each layer had it before.
    "encoder.layer.*.attention.self.rotary_embeddings.inv_freq": "rotary.weight",
    "encoder.layer.0.attention.self.rotary_embeddings.inv_freq": "rotary.weight",
}

DEFAULTS = {"esm": {"max_position_embeddings": 1026}}

_SHOWN = 1 - 0.15 * 0.8
"""The share of tokens that were no mask in training."""


def spec(config: Config) -> Spec:
    """The facts of an ESM; absent attributes have the values of transformers' ``EsmConfig``."""
    config.expect("is_folding_model", False)
    config.only("hidden_act", "gelu")
    config.ignore("esmfold_config", "vocab_list")
    heads = config.size("num_attention_heads", 12)
    size = config.width("hidden_size", 768, heads) // heads
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    turns = config.expect("position_embedding_type", "absolute", "rotary") == "rotary"
    theta, drops = config.number("rope_theta", 10_000.0), config.flag("token_dropout")
    embedding = Embedding(
        config.size("vocab_size"),
        None if turns else roberta_positions(config),
        norm=norm if config.flag("emb_layer_norm_before") else None,
        scale=_SHOWN if drops else 1.0,
        dropped=config.count("mask_token_id", 32) if drops else None,
    )
    config.ignore("max_position_embeddings")
    position = Rotary(theta, size, stored=True) if turns else None
    return bert_spec(config, embedding, PreNorm(norm), position=position)
