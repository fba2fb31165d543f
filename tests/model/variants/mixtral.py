from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def mixtral(model: str = "MixtralModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"num_local_experts": 5} | config)


VARIANTS = {
    "grouped queries": mixtral(),
    "one key head, one expert for each token": mixtral(num_key_value_heads=1, num_experts_per_tok=1),
    "all experts for each token": mixtral(num_experts_per_tok=5),
    "window": mixtral(sliding_window=5),
    "heads of another size, another activation": mixtral(head_dim=12, hidden_act="gelu"),
    "with a head": mixtral("MixtralForCausalLM"),
    "with a tied head": mixtral("MixtralForCausalLM", tie_word_embeddings=True),
}
