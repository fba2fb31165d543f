"""mBART (Liu et al. 2020): a BART with pre-norms, that begins with the code of the language."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, Learned, PreNorm, Spec
from attnviz.model.families.bart import NAMES, PREFIX, bart_spec

__all__ = ["NAMES", "PREFIX", "spec"]


def spec(config: Config) -> Spec:
    """The facts of an mBART; absent attributes have the values of transformers' ``MBartConfig``."""
    vocabulary = config.size("vocab_size", 50265)
    positions = Learned(config.size("max_position_embeddings", 1024), offset=2)
    embedding = Embedding(vocabulary, positions, norm=LayerNorm(1e-5))
    return bart_spec(config, embedding, PreNorm(LayerNorm(1e-5)), start=None)
