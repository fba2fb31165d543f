from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE

EXPERTS = {
    "num_experts": 5,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 24,
}


def qwen2_moe(model: str = "Qwen2MoeModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | EXPERTS | config)


VARIANTS = {
    "as many key heads": qwen2_moe(num_key_value_heads=4),
    "grouped queries, shares of the chosen experts": qwen2_moe(norm_topk_prob=True),
    "no biases": qwen2_moe(qkv_bias=False, num_key_value_heads=1),
    "every other layer without experts": qwen2_moe(decoder_sparse_step=2),
    "one layer without experts": qwen2_moe(mlp_only_layers=[1]),
    "windows in every other layer": qwen2_moe(use_sliding_window=True, sliding_window=5),
    "with a head": qwen2_moe("Qwen2MoeForCausalLM"),
    "with a tied head": qwen2_moe("Qwen2MoeForCausalLM", tie_word_embeddings=True),
}
