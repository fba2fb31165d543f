from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def nemotron(model: str = "NemotronModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.2)


VARIANTS = {
    "half of each head turns, grouped queries": nemotron(),
    "as many key heads, another part turns": nemotron(num_key_value_heads=4, partial_rotary_factor=0.25),
    "one key head, heads of another size": nemotron(num_key_value_heads=1, head_dim=12),
    "biases": nemotron(attention_bias=True, mlp_bias=True),
    "with a head": nemotron("NemotronForCausalLM"),
    "with a tied head": nemotron("NemotronForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
