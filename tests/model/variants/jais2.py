from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def jais(model: str = "Jais2Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "grouped queries": jais(),
    "one key head, no biases": jais(num_key_value_heads=1, attention_bias=False, mlp_bias=False),
    "heads of another size": jais(head_dim=12, num_key_value_heads=4, layer_norm_eps=1e-2),
    "linear rotary": jais(rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 100.0}),
    "with a head": jais("Jais2ForCausalLM"),
    "with a tied head": jais("Jais2ForCausalLM", tie_word_embeddings=True),
}
