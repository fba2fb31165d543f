from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def arcee(model: str = "ArceeModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "grouped queries": arcee(),
    "one key head, biases": arcee(num_key_value_heads=1, attention_bias=True, mlp_bias=True),
    "heads of another size": arcee(head_dim=12, num_key_value_heads=4),
    "yarn rotary": arcee(
        rope_parameters={
            "rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0, "original_max_position_embeddings": 16
        }
    ),
    "with a head": arcee("ArceeForCausalLM"),
    "with a tied head": arcee("ArceeForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
