from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.gpt2 import SHAPE


def bigcode(model: str = "GPTBigCodeModel", scale: float = 0.6, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=scale)


VARIANTS = {
    "one key head": bigcode(),
    "a key head for each": bigcode(multi_query=False),
    "scores not scaled": bigcode(scale_attn_weights=False, scale=0.45),
    "other inner size and activation": bigcode(n_inner=48, activation_function="relu"),
    "with a head": bigcode("GPTBigCodeForCausalLM"),
    "with a head of its own": bigcode("GPTBigCodeForCausalLM", tie_word_embeddings=False),
}
