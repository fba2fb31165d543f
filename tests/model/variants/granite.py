from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def granite(model: str = "GraniteModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"attention_multiplier": 0.4} | config)


VARIANTS = {
    "grouped queries": granite(),
    "multipliers": granite(
        embedding_multiplier=3.0, residual_multiplier=0.22, attention_multiplier=0.3, logits_scaling=8.0
    ),
    "as many key heads": granite(num_key_value_heads=4),
    "one key head": granite(num_key_value_heads=1),
    "biases": granite(attention_bias=True, mlp_bias=True),
    "yarn rotary": granite(
        rope_parameters={
            "rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0, "original_max_position_embeddings": 16
        }
    ),
    "with a head": granite("GraniteForCausalLM"),
    "with a tied head": granite("GraniteForCausalLM", tie_word_embeddings=True),
    "granite_docling: the text model": granite(
        "GraniteDoclingTextModel", embedding_multiplier=3.0, residual_multiplier=0.3
    ),
}  # fmt: skip
