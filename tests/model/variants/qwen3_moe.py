from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.larger import qwen_vl
from tests.model.variants.llama import SHAPE, sharpen


def qwen3_moe(model: str = "Qwen3MoeModel", **config: Any) -> Variant:
    return Variant(
        model,
        SHAPE | {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8} | config,
        edit=sharpen,
    )


def qwen3_vl_moe(model: str, **config: Any) -> Variant:
    turns = {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    return qwen3_moe(model, rope_parameters=turns, **config)


VARIANTS = {
    "grouped queries": qwen3_moe(),
    "shares of the chosen experts": qwen3_moe(norm_topk_prob=True, num_experts_per_tok=3),
    "heads of another size, biases": qwen3_moe(head_dim=12, num_key_value_heads=4, attention_bias=True),
    "every other layer without experts": qwen3_moe(decoder_sparse_step=2),
    "one layer without experts": qwen3_moe(mlp_only_layers=[1]),
    "window": qwen3_moe(use_sliding_window=True, sliding_window=5),
    "with a head": qwen3_moe("Qwen3MoeForCausalLM"),
    "with a tied head": qwen3_moe("Qwen3MoeForCausalLM", tie_word_embeddings=True),
    "the text model of a Qwen3-VL MoE": qwen3_vl_moe("Qwen3VLMoeTextModel", decoder_sparse_step=2),
    "the text of a Qwen3-VL MoE": qwen_vl("Qwen3VLMoeModel", qwen3_moe(), mrope_interleaved=True),
    "the text of a Qwen3-VL MoE with a head": qwen_vl(
        "Qwen3VLMoeForConditionalGeneration", qwen3_moe(), mrope_interleaved=True
    ),
}
