from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE

LATENT = SHAPE | {
    "num_key_value_heads": 4,
    "kv_lora_rank": 12,
    "q_lora_rank": 10,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 6,
    "v_head_dim": 5,
    "n_routed_experts": 6,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 100.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
    "mscale": 1.2,
    "mscale_all_dim": 0.7,
}


def deepseek_v2(model: str = "DeepseekV2Model", **config: Any) -> Variant:
    return Variant(model, LATENT | config)


VARIANTS = {
    "queries from a vector": deepseek_v2(),
    "queries as ever, large values": deepseek_v2(q_lora_rank=None, v_head_dim=16),
    "groups of experts": deepseek_v2(
        topk_method="group_limited_greedy", n_group=3, topk_group=2, first_k_dense_replace=0
    ),
    "biases, a factor of the shares": deepseek_v2(attention_bias=True, mlp_bias=True, routed_scaling_factor=1.7),
    "yarn rotary, which scales the scores": deepseek_v2(rope_parameters=YARN),
    "with a head": deepseek_v2("DeepseekV2ForCausalLM"),
    "with a tied head": deepseek_v2("DeepseekV2ForCausalLM", tie_word_embeddings=True),
}
