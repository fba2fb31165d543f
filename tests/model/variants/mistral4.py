from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.deepseek_v2 import LATENT, YARN


def mistral4(model: str = "Mistral4Model", **config: Any) -> Variant:
    turns = YARN | {"llama_4_scaling_beta": 0.4, "original_max_position_embeddings": 6}
    return Variant(model, LATENT | {"n_group": 1, "topk_group": 1, "rope_parameters": turns} | config)


VARIANTS = {
    "queries from a vector": mistral4(),
    "queries as ever, large values": mistral4(q_lora_rank=None, v_head_dim=16),
    "groups of experts": mistral4(n_group=3, topk_group=2, n_routed_experts=9, num_experts_per_tok=3),
    "shares as they are, halves paired": mistral4(norm_topk_prob=False, rope_interleave=False),
    "biases, no dense layer": mistral4(attention_bias=True, first_k_dense_replace=0, routed_scaling_factor=1.7),
    "with a head": mistral4("Mistral4ForCausalLM"),
    "with a tied head": mistral4("Mistral4ForCausalLM", tie_word_embeddings=True),
}
