from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def hybrid(model: str = "GraniteMoeHybridModel", **config: Any) -> Variant:
    shape = {
        "num_local_experts": 0, "shared_intermediate_size": 40, "attention_multiplier": 0.4,
        "layer_types": ["full_attention"] * 3, "position_embedding_type": "rope", "mamba_n_heads": 8,
    }  # fmt: skip
    return Variant(model, SHAPE | shape | config)


VARIANTS = {
    "no experts, grouped queries": hybrid(),
    "experts and a shared one": hybrid(num_local_experts=5),
    "no positions": hybrid(position_embedding_type="nope"),
    "experts, no positions named": hybrid(num_local_experts=4, position_embedding_type=None),
    "multipliers": hybrid(
        embedding_multiplier=3.0, residual_multiplier=0.22, attention_multiplier=0.3, logits_scaling=8.0
    ),
    "one key head, biases": hybrid(num_key_value_heads=1, attention_bias=True),
    "with a head": hybrid("GraniteMoeHybridForCausalLM"),
    "with a tied head": hybrid("GraniteMoeHybridForCausalLM", tie_word_embeddings=True),
}
