from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE, sharpen


def olmo2(model: str = "Olmo2Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, edit=sharpen)


VARIANTS = {
    "grouped queries": olmo2(),
    "as many key heads": olmo2(num_key_value_heads=4),
    "one key head": olmo2(num_key_value_heads=1),
    "biases": olmo2(attention_bias=True),
    "linear rotary": olmo2(rope_scaling={"type": "linear", "factor": 3.0}),
    "with a head": olmo2("Olmo2ForCausalLM"),
    "with a tied head": olmo2("Olmo2ForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
