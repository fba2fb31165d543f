"""Blenderbot (Roller et al. 2021): a BART with pre-norms and embeddings that are not normed."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, Learned, PreNorm, Spec
from attnviz.model.families.bart import NAMES, PREFIX, bart_spec

__all__ = ["NAMES", "PREFIX", "spec"]

DEFAULTS = {
    "blenderbot": {
        "vocab_size": 8008, "max_position_embeddings": 128, "d_model": 2560, "encoder_layers": 2, "decoder_layers": 24,
        "encoder_attention_heads": 32, "decoder_attention_heads": 32, "encoder_ffn_dim": 10_240,
        "decoder_ffn_dim": 10_240,
    }
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Blenderbot."""
    embedding = Embedding(config.size("vocab_size"), Learned(config.size("max_position_embeddings")))
    return bart_spec(config, embedding, PreNorm(LayerNorm(1e-5)), start=1)
