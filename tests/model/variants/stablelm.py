from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def stablelm(model: str = "StableLmModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "a quarter of each head turns, grouped queries": stablelm(),
    "as many key heads, biases": stablelm(num_key_value_heads=4, use_qkv_bias=True),
    "one key head, half of it turns": stablelm(num_key_value_heads=1, partial_rotary_factor=0.5),
    "normed queries and keys of each head": stablelm(qk_layernorm=True),
    "attention and MLP side by side": stablelm(use_parallel_residual=True),
    "linear rotary": stablelm(rope_scaling={"type": "linear", "factor": 3.0}),
    "with a head": stablelm("StableLmForCausalLM", qk_layernorm=True, use_parallel_residual=True),
    "with a tied head": stablelm("StableLmForCausalLM", tie_word_embeddings=True),
}  # fmt: skip
