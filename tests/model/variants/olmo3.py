from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE, sharpen


def olmo3(model: str = "Olmo3Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"sliding_window": 6, "num_hidden_layers": 4} | config, edit=sharpen)


VARIANTS = {
    "windows in three of four layers": olmo3(),
    "as many key heads": olmo3(num_key_value_heads=4),
    "one key head, biases": olmo3(num_key_value_heads=1, attention_bias=True),
    "yarn rotary in layers that see all": olmo3(
        rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 2.0},
        layer_types=["sliding_attention", "full_attention"] * 2,
    ),
    "with a head": olmo3("Olmo3ForCausalLM"),
    "with a tied head": olmo3("Olmo3ForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
