from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def glm(model: str = "GlmModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"head_dim": 8} | config)


VARIANTS = {
    "half of each head turns, grouped queries": glm(),
    "as many key heads, another part turns": glm(num_key_value_heads=4, partial_rotary_factor=0.25),
    "one key head, heads of another size": glm(num_key_value_heads=1, head_dim=12),
    "no biases": glm(attention_bias=False),
    "with a head": glm("GlmForCausalLM"),
    "with a tied head": glm("GlmForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
