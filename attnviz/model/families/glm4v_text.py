"""The text model of GLM-4.1V and GLM-4.6V (Zhipu AI 2025): a GLM-4 of 2025 that may turn whole."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import grouped_attention
from attnviz.model.families.glm import glm_spec
from attnviz.model.families.glm4 import NAMES, PREFIX, sandwiched

__all__ = ["NAMES", "PREFIX"]

DEFAULTS = {
    "glm_ocr_text": {
        "vocab_size": 59392, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 16,
        "num_attention_heads": 16, "num_key_value_heads": 8, "max_position_embeddings": 131072, "attention_bias": False,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a GLM-4.1V's text model; absent attributes have the values of transformers' ``Glm4vTextConfig``."""
    width = config.size("hidden_size", 4096)
    bias = config.flag("attention_bias", default=True)
    attention = grouped_attention(config, width, 32, 2, bias=bias, partial=1.0, longest=32768, interleaved=True)
    return sandwiched(glm_spec(config, replace(attention, output_bias=False), 1e-5))
