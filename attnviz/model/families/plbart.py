"""PLBART (Ahmad et al. 2021): a BART of programming languages, that begins with the code of the language."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, Learned, PostNorm, Spec
from attnviz.model.families.bart import NAMES, PREFIX, bart_spec

__all__ = ["NAMES", "PREFIX", "spec"]

DEFAULTS = {
    "plbart": {
        "vocab_size": 50_005, "d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 12,
        "decoder_attention_heads": 12, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "scale_embedding": True,
    }
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a PLBART."""
    vocabulary = config.size("vocab_size")
    positions = Learned(config.size("max_position_embeddings", 1024), offset=2)
    embedding = Embedding(vocabulary, positions, norm=LayerNorm(1e-5))
    return bart_spec(config, embedding, PostNorm(LayerNorm(1e-5)), start=None)
