from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def ernie4_5(model: str = "Ernie4_5Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"head_dim": 8} | config)


VARIANTS = {
    "grouped queries": ernie4_5(),
    "one key head, biases": ernie4_5(num_key_value_heads=1, use_bias=True),
    "heads of another size": ernie4_5(head_dim=12, num_key_value_heads=4),
    "with a head": ernie4_5("Ernie4_5ForCausalLM", tie_word_embeddings=False),
    "with a tied head": ernie4_5("Ernie4_5ForCausalLM"),
}
