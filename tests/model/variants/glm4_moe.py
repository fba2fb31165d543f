from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.deepseek_v3 import correct
from tests.model.variants.larger import qwen_vl
from tests.model.variants.llama import SHAPE, sharpen

EXPERTS = {
    "n_routed_experts": 6,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
}


def edit(model: torch.nn.Module) -> None:
    correct(model)
    sharpen(model)


def glm4_moe(model: str = "Glm4MoeModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | EXPERTS | config, edit=edit)


_TURNS = {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [1, 1, 0], "partial_rotary_factor": 0.5}

VARIANTS = {
    "grouped queries": glm4_moe(),
    "normed queries, heads of another size": glm4_moe(use_qk_norm=True, head_dim=12),
    "biases, one key head, whole heads turn": glm4_moe(
        attention_bias=True, num_key_value_heads=1, partial_rotary_factor=1.0
    ),
    "groups of experts, a factor of the shares": glm4_moe(
        n_group=3, topk_group=2, n_routed_experts=9, num_experts_per_tok=3, routed_scaling_factor=1.7
    ),
    "all layers with experts, shares as they are": glm4_moe(first_k_dense_replace=0, norm_topk_prob=False),
    "with a head": glm4_moe("Glm4MoeForCausalLM"),
    "with a tied head": glm4_moe("Glm4MoeForCausalLM", tie_word_embeddings=True),
    "glm4v_moe: the text model": glm4_moe("Glm4vMoeTextModel", rope_parameters=_TURNS, use_qk_norm=False),
    "the text of a GLM-4.5V": qwen_vl("Glm4vMoeModel", glm4_moe(), partial_rotary_factor=0.5, mrope_section=[1, 1, 0]),
}
