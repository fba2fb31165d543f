"""Marian (Junczys-Dowmunt et al. 2018), of Opus-MT: a BART with sinusoidal positions, its embeddings not normed."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, PostNorm, Sinusoidal, Spec
from attnviz.model.families.bart import NAMES, PREFIX, bart_spec

__all__ = ["NAMES", "PREFIX", "spec"]


def spec(config: Config) -> Spec:
    """The facts of a Marian; absent attributes have the values of transformers' ``MarianConfig``."""
    vocabulary = config.size("vocab_size", 58101)
    decoder = config.size("decoder_vocab_size", vocabulary)
    if config.flag("share_encoder_decoder_embeddings", True):
        decoder = vocabulary
    embedding = Embedding(vocabulary, Sinusoidal(config.size("max_position_embeddings", 1024), stored=True))
    return bart_spec(config, embedding, PostNorm(LayerNorm(1e-5)), vocabulary=decoder, start=58100)
