from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def helium(model: str = "HeliumModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"head_dim": 8} | config)


VARIANTS = {
    "grouped queries": helium(),
    "as many key heads": helium(num_key_value_heads=4),
    "one key head": helium(num_key_value_heads=1),
    "biases": helium(attention_bias=True, mlp_bias=True),
    "with a head": helium("HeliumForCausalLM"),
    "with a tied head": helium("HeliumForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
