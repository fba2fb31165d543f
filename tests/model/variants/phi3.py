from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import FACTORS, SHAPE


def phi3(model: str = "Phi3Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "grouped queries": phi3(),
    "as many key heads": phi3(num_key_value_heads=4),
    "one key head, window": phi3(num_key_value_heads=1, sliding_window=5),
    "a part of each head turns": phi3(partial_rotary_factor=0.5),
    "longrope rotary, short": phi3(
        rope_scaling={"type": "longrope", **FACTORS}, original_max_position_embeddings=32
    ),
    "longrope rotary, long": phi3(
        rope_scaling={"type": "longrope", **FACTORS}, original_max_position_embeddings=16
    ),
    "longrope rotary, long, a part turns": phi3(
        rope_scaling={"type": "longrope", "short_factor": [1.0, 1.3, 2.0], "long_factor": [1.0, 4.0, 16.0]},
        partial_rotary_factor=0.75, original_max_position_embeddings=16,
    ),
    "with a head": phi3("Phi3ForCausalLM"),
    "with a tied head": phi3("Phi3ForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
