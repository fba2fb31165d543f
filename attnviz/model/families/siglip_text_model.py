"""SigLIP's text model (Zhai et al. 2023): a CLIP whose text model sees all tokens."""

from __future__ import annotations

from attnviz.attention.window import EVERYTHING
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families.clip_text_model import NAMES as NAMES
from attnviz.model.families.clip_text_model import PREFIX as PREFIX
from attnviz.model.families.clip_text_model import text_spec


def spec(config: Config) -> Spec:
    """The facts of SigLIP's text model; absent attributes have the values of transformers' ``SiglipTextConfig``."""
    config.ignore("projection_size", "projection_dim")
    return text_spec(
        config, window=EVERYTHING, vocabulary=32000, width=768, layers=12, heads=12, longest=64,
        activation="gelu_pytorch_tanh", eps=1e-6,
    )  # fmt: skip
