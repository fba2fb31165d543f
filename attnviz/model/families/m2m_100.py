"""M2M-100 and NLLB (Fan et al. 2020): a BART with pre-norms and sinusoidal positions that do not count padding."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, LayerNorm, PreNorm, Sinusoidal, Spec
from attnviz.model.families.bart import NAMES, PREFIX, bart_spec

__all__ = ["NAMES", "PREFIX", "spec"]
DEFAULTS = {"m2m_100": {"activation_function": "relu", "scale_embedding": True}}


def spec(config: Config) -> Spec:
    """The facts of an M2M-100."""
    padding = config.get("pad_token_id", 1)
    count = config.size("max_position_embeddings", 1024)
    positions = Sinusoidal(count, whole=True, offset=padding + 1, padding=padding)
    embedding = Embedding(config.size("vocab_size", 128_112), positions)
    return bart_spec(config, embedding, PreNorm(LayerNorm(1e-5)), start=2)
