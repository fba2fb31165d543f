"""Blenderbot (Roller et al. 2021): a BART with pre-norms and embeddings that are not normed."""

from __future__ import annotations

from attnviz.model.config import Config
from attnviz.model.families.bart import NAMES, PREFIX, read
from attnviz.model.spec import Embedding, LayerNorm, Learned, PreNorm, Spec

__all__ = ["NAMES", "PREFIX", "spec"]


def spec(config: Config) -> Spec:
    """The facts of a Blenderbot."""
    embedding = Embedding(config.size("vocab_size"), Learned(config.size("max_position_embeddings")))
    return read(config, embedding, PreNorm(LayerNorm(1e-5)), start=1)
