"""FSMT (Ng et al. 2019), of WMT19: a BART with sinusoidal positions, whose decoder begins with the end of the text."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, PostNorm, Sinusoidal, Spec
from attnviz.model.families import Names, names_without
from attnviz.model.families.bart import NAMES as BART_NAMES
from attnviz.model.families.bart import PREFIX, bart_spec

__all__ = ["PREFIX", "spec"]
ATTRIBUTES = {"vocab_size": "tgt_vocab_size"}
DEFAULTS = {"fsmt": {"activation_function": "relu", "scale_embedding": True}}

NAMES: Names = {
    "decoder.output_projection.weight": "head.weight",
    **names_without(BART_NAMES, "layernorm_embedding", "coder.layer_norm", "shared", "lm_head"),
}


def spec(config: Config) -> Spec:
    """The facts of an FSMT; absent attributes have the values of transformers' ``FSMTConfig``."""
    config.ignore("decoder", "langs")
    padding, count = config.count("pad_token_id", 1), config.size("max_position_embeddings", 1024)
    positions = Sinusoidal(count, whole=True, offset=padding + 1, padding=padding, stored=True)
    embedding = Embedding(config.size("src_vocab_size", 42024), positions)
    target = config.size("tgt_vocab_size", 42024)
    return bart_spec(config, embedding, PostNorm(LayerNorm(1e-5)), vocabulary=target, start=None)
