from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def hunyuan(model: str = "HunYuanMoEV1Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"num_experts": 5, "moe_topk": 2, "head_dim": 8} | config)


VARIANTS = {
    "grouped queries": hunyuan(),
    "heads of another size, three experts, biases": hunyuan(head_dim=12, moe_topk=3, attention_bias=True),
    "as many key heads": hunyuan(num_key_value_heads=4),
    "dynamic rotary with alpha": hunyuan(
        rope_parameters={"rope_type": "dynamic", "rope_theta": 100.0, "alpha": 20.0, "factor": 1.0}
    ),
    "with a head": hunyuan("HunYuanMoEV1ForCausalLM"),
    "with a tied head": hunyuan("HunYuanMoEV1ForCausalLM", tie_word_embeddings=True),
}
