from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def cohere2(model: str = "Cohere2Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"sliding_window": 6, "num_hidden_layers": 5} | config)


VARIANTS = {
    "windows in three of four layers": cohere2(),
    "as many key heads": cohere2(num_key_value_heads=4),
    "one key head, biases": cohere2(num_key_value_heads=1, attention_bias=True),
    "windows by an older pattern": cohere2(sliding_window_pattern=2),
    "with a tied head": cohere2("Cohere2ForCausalLM"),
    "with a head": cohere2("Cohere2ForCausalLM", tie_word_embeddings=False),
}  # fmt: skip
