from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE, sharpen


def flex_olmo(model: str = "FlexOlmoModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"num_experts": 5, "num_experts_per_tok": 2} | config, edit=sharpen)


VARIANTS = {
    "grouped queries": flex_olmo(),
    "as many key heads, biases": flex_olmo(num_key_value_heads=4, attention_bias=True),
    "shares of the chosen experts": flex_olmo(norm_topk_prob=True, num_experts_per_tok=3),
    "with a head": flex_olmo("FlexOlmoForCausalLM"),
    "with a tied head": flex_olmo("FlexOlmoForCausalLM", tie_word_embeddings=True),
}
