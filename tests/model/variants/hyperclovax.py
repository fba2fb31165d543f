from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def hyperclovax(model: str = "HyperCLOVAXModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "norms behind the parts": hyperclovax(),
    "no norms behind the parts, biases": hyperclovax(use_post_norm=False, attention_bias=True, mlp_bias=True),
    "factors, heads of another size": hyperclovax(
        head_dim=12, attention_multiplier=0.4, embedding_multiplier=1.5, residual_multiplier=0.7
    ),
    "one key head": hyperclovax(num_key_value_heads=1),
    "with a head": hyperclovax("HyperCLOVAXForCausalLM", logits_scaling=0.3),
    "with a tied head": hyperclovax("HyperCLOVAXForCausalLM", tie_word_embeddings=True),
}
