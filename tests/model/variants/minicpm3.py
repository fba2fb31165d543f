from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import FACTORS
from tests.model.variants.youtu import youtu


def minicpm3(model: str = "MiniCPM3Model", **config: Any) -> Variant:
    return youtu(model, **({"scale_emb": 1.5, "scale_depth": 1.2, "dim_model_base": 16} | config))


VARIANTS = {
    "queries from a vector, biases": minicpm3(attention_bias=True),
    "queries as ever, large values, biases of MLPs": minicpm3(
        q_lora_rank=None, v_head_dim=16, mlp_bias=True
    ),
    "longrope rotary": minicpm3(
        qk_rope_head_dim=8,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 16, **FACTORS
        },
    ),
    "with a head": minicpm3("MiniCPM3ForCausalLM", tie_word_embeddings=False),
    "with a tied head": minicpm3("MiniCPM3ForCausalLM"),
}  # fmt: skip
