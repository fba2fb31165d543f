from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def gpt_oss(model: str = "GptOssModel", **config: Any) -> Variant:
    return Variant(
        model, SHAPE | {"num_local_experts": 5, "num_experts_per_tok": 2, "head_dim": 8, "sliding_window": 5} | config
    )


VARIANTS = {
    "sinks in windows": gpt_oss(),
    "one key head": gpt_oss(num_key_value_heads=1),
    "heads of another size, three experts for each token": gpt_oss(head_dim=12, num_experts_per_tok=3),
    "no biases, no windows": gpt_oss(attention_bias=False, layer_types=["full_attention"] * 3),
    "experts at their limit": gpt_oss(swiglu_limit=0.5),
    "default rotary": gpt_oss(rope_parameters={"rope_type": "default", "rope_theta": 300.0}),
    "with a head": gpt_oss("GptOssForCausalLM"),
    "with a tied head": gpt_oss("GptOssForCausalLM", tie_word_embeddings=True),
}
