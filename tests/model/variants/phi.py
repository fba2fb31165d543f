from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE, sharpen


def phi(model: str = "PhiModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, edit=sharpen)


VARIANTS = {
    "half of each head turns, grouped queries": phi(),
    "as many key heads, another part turns": phi(num_key_value_heads=4, partial_rotary_factor=0.25),
    "one key head": phi(num_key_value_heads=1),
    "normed queries and keys": phi(qk_layernorm=True),
    "linear rotary": phi(rope_scaling={"type": "linear", "factor": 3.0}),
    "dynamic rotary, beyond its length": phi(
        rope_scaling={"type": "dynamic", "factor": 3.0}, max_position_embeddings=10
    ),
    "with a head": phi("PhiForCausalLM"),
    "with a tied head": phi("PhiForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
