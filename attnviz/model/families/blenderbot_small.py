"""Blenderbot Small (Roller et al. 2021): a BART whose decoder norms token vectors before it adds positions."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, Learned, PostNorm, Spec
from attnviz.model.families import names_without
from attnviz.model.families.bart import NAMES as BART_NAMES
from attnviz.model.families.bart import PREFIX, bart_spec

__all__ = ["PREFIX"]

NAMES = names_without(BART_NAMES, "coder.layer_norm.")

DEFAULTS = {
    "blenderbot-small": {
        "d_model": 512, "encoder_layers": 8, "decoder_layers": 8, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048,
    }
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Blenderbot Small."""
    positions = Learned(config.size("max_position_embeddings", 512))
    embedding = Embedding(config.size("vocab_size", 50265), positions, norm=LayerNorm(1e-5))
    found = bart_spec(config, embedding, PostNorm(LayerNorm(1e-5)), start=1)
    # The decoder's token vectors are not scaled: transformers computes the factor and does not use it.
    return replace(found, embedding=replace(found.embedding, early=True, scale=1.0))
