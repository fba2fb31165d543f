from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def olmo(model: str = "OlmoModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "norms without weights, grouped queries": olmo(),
    "as many key heads": olmo(num_key_value_heads=4),
    "one key head, biases": olmo(num_key_value_heads=1, attention_bias=True),
    "bounded queries, keys and values": olmo(clip_qkv=1.5),
    "with a head": olmo("OlmoForCausalLM"),
    "with a tied head": olmo("OlmoForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
