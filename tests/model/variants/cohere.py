from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def cohere(model: str = "CohereModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "grouped queries": cohere(),
    "as many key heads": cohere(num_key_value_heads=4),
    "one key head": cohere(num_key_value_heads=1),
    "biases": cohere(attention_bias=True),
    "normed queries and keys of each head": cohere(use_qk_norm=True),
    "linear rotary": cohere(rope_scaling={"type": "linear", "factor": 3.0}),
    "with a tied head": cohere("CohereForCausalLM", use_qk_norm=True),
    "with a head": cohere("CohereForCausalLM", tie_word_embeddings=False),
}  # fmt: skip
