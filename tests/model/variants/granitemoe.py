from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def granitemoe(model: str = "GraniteMoeModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"num_local_experts": 5, "attention_multiplier": 0.4} | config)


VARIANTS = {
    "grouped queries": granitemoe(),
    "multipliers": granitemoe(
        embedding_multiplier=3.0, residual_multiplier=0.22, attention_multiplier=0.3, logits_scaling=8.0
    ),
    "one key head, biases": granitemoe(num_key_value_heads=1, attention_bias=True),
    "three experts for each token": granitemoe(num_experts_per_tok=3),
    "with a head": granitemoe("GraniteMoeForCausalLM"),
    "with a tied head": granitemoe("GraniteMoeForCausalLM", tie_word_embeddings=True),
}
