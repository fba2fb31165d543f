from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import FACTORS, SHAPE


def phimoe(model: str = "PhimoeModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"num_local_experts": 5} | config)


VARIANTS = {
    "grouped queries": phimoe(),
    "many experts near the best": phimoe(router_jitter_noise=0.4),
    "one key head, biases": phimoe(num_key_value_heads=1, attention_bias=True),
    "window": phimoe(sliding_window=5),
    "longrope rotary": phimoe(
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 16,
            "short_mscale": 1.2, "long_mscale": 1.2, **FACTORS,
        }
    ),
    "with a head with a bias": phimoe("PhimoeForCausalLM", lm_head_bias=True),
    "with a tied head": phimoe("PhimoeForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
