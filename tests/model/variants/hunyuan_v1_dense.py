from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def sharpen(model: torch.nn.Module) -> None:
    """Enlarge the weights of the query norms: normed queries and keys are short."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("query_layernorm.weight"):
                parameter.mul_(2)


def hunyuan(model: str = "HunYuanDenseV1Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"head_dim": 8} | config, edit=sharpen)


VARIANTS = {
    "grouped queries": hunyuan(),
    "one key head, biases": hunyuan(num_key_value_heads=1, attention_bias=True),
    "heads of another size": hunyuan(head_dim=12, num_key_value_heads=4),
    "a base made larger": hunyuan(
        rope_parameters={"rope_type": "dynamic", "rope_theta": 100.0, "alpha": 50.0, "factor": 1.0, "beta_fast": 32}
    ),
    "dynamic rotary": hunyuan(
        rope_parameters={"rope_type": "dynamic", "rope_theta": 100.0, "factor": 3.0}, max_position_embeddings=8
    ),
    "with a head": hunyuan("HunYuanDenseV1ForCausalLM"),
    "with a tied head": hunyuan("HunYuanDenseV1ForCausalLM", tie_word_embeddings=True),
}
