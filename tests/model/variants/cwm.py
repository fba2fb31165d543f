from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def cwm(model: str = "CwmModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"head_dim": 8, "sliding_window": 6} | config)


VARIANTS = {
    "every fourth layer sees all": cwm(num_hidden_layers=5),
    "windows by type of layer": cwm(layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
    "one key head, heads of another size": cwm(num_key_value_heads=1, head_dim=12),
    "another base of rotary positions": cwm(rope_parameters={"rope_type": "default", "rope_theta": 100.0}),
    "with a head": cwm("CwmForCausalLM"),
    "with a tied head": cwm("CwmForCausalLM", tie_word_embeddings=True),
}
