from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def shared(model: str = "GraniteMoeSharedModel", **config: Any) -> Variant:
    experts = {"num_local_experts": 5, "shared_intermediate_size": 20, "attention_multiplier": 0.4}
    return Variant(model, SHAPE | experts | config)


VARIANTS = {
    "a shared expert, grouped queries": shared(),
    "no shared expert": shared(shared_intermediate_size=0),
    "multipliers": shared(
        embedding_multiplier=3.0, residual_multiplier=0.22, attention_multiplier=0.3, logits_scaling=8.0
    ),
    "one key head, biases": shared(num_key_value_heads=1, attention_bias=True),
    "with a head": shared("GraniteMoeSharedForCausalLM"),
    "with a tied head": shared("GraniteMoeSharedForCausalLM", tie_word_embeddings=True),
}
