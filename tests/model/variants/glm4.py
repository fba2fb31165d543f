from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def glm4(model: str = "Glm4Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"head_dim": 8} | config)


VARIANTS = {
    "grouped queries": glm4(),
    "one key head, no biases": glm4(num_key_value_heads=1, attention_bias=False),
    "heads of another size": glm4(head_dim=12, num_key_value_heads=4),
    "with a head": glm4("Glm4ForCausalLM"),
    "with a tied head": glm4("Glm4ForCausalLM", tie_word_embeddings=True),
}
