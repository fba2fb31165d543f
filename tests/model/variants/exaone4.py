from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE, sharpen


def exaone4(model: str = "Exaone4Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"sliding_window": 5} | config, edit=sharpen)


VARIANTS = {
    "windows in most layers": exaone4(num_hidden_layers=5),
    "windows in every other layer": exaone4(sliding_window_pattern=2, num_key_value_heads=1),
    "no windows": exaone4(sliding_window=None, layer_types=["full_attention"] * 3, num_key_value_heads=4),
    "with a head": exaone4("Exaone4ForCausalLM"),
    "with a tied head": exaone4("Exaone4ForCausalLM", tie_word_embeddings=True),
}
