"""Pegasus (Zhang et al. 2020): a BART with pre-norms, sinusoidal positions and embeddings that are not normed."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, PreNorm, Sinusoidal, Spec
from attnviz.model.families.bart import NAMES, PREFIX, bart_spec

__all__ = ["NAMES", "PREFIX", "spec"]


def spec(config: Config) -> Spec:
    """The facts of a Pegasus; absent attributes have the values of transformers' ``PegasusConfig``."""
    positions = Sinusoidal(config.size("max_position_embeddings", 1024), stored=True)
    embedding = Embedding(config.size("vocab_size", 50265), positions)
    return bart_spec(config, embedding, PreNorm(LayerNorm(1e-5)), start=0)
