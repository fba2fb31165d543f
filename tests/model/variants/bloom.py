from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 3, "n_head": 4}


def bloom(model: str = "BloomModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.3)


VARIANTS = {
    "ALiBi": bloom(),
    "ALiBi, heads no power of two": bloom(n_head=6, hidden_size=36),
    "large eps": bloom(layer_norm_epsilon=0.1),
    "with a head": bloom("BloomForCausalLM"),
}
