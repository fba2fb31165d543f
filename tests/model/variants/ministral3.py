from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def ministral(model: str = "Ministral3Model", length: int = 4, **config: Any) -> Variant:
    rope = {
        "rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": length,
        "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.5,
    }  # fmt: skip
    return Variant(model, SHAPE | {"head_dim": 8, "rope_parameters": rope} | config)


VARIANTS = {
    "queries grow every four tokens": ministral(),
    "queries grow every nine tokens, windows": ministral(length=9, sliding_window=5),
    "one key head, heads of another size": ministral(num_key_value_heads=1, head_dim=12),
    "with a head": ministral("Ministral3ForCausalLM"),
    "with a tied head": ministral("Ministral3ForCausalLM", tie_word_embeddings=True),
}
