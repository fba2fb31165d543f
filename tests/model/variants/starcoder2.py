from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def starcoder2(model: str = "Starcoder2Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "grouped queries": starcoder2(),
    "as many key heads": starcoder2(num_key_value_heads=4),
    "one key head": starcoder2(num_key_value_heads=1),
    "window": starcoder2(sliding_window=5),
    "no biases": starcoder2(use_bias=False),
    "linear rotary": starcoder2(rope_scaling={"type": "linear", "factor": 3.0}),
    "with a tied head": starcoder2("Starcoder2ForCausalLM"),
    "with a head": starcoder2("Starcoder2ForCausalLM", tie_word_embeddings=False),
}  # fmt: skip
