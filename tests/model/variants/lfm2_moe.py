from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.model.variants import Variant
from tests.model.variants.lfm2 import lfm2


def lfm2_moe(model: str = "Lfm2MoeModel", **config: Any) -> Variant:
    experts = {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "num_dense_layers": 1}
    found = lfm2(model)
    shape = {name: value for name, value in found.config.items() if name != "block_multiple_of"}
    return replace(found, config=shape | experts | config)


VARIANTS = {
    "every other layer attends": lfm2_moe(),
    "no correction, shares as they are": lfm2_moe(use_expert_bias=False, norm_topk_prob=False),
    "experts everywhere, a factor": lfm2_moe(num_dense_layers=0, routed_scaling_factor=2.5, num_key_value_heads=1),
    "biases, over four tokens": lfm2_moe(conv_bias=True, conv_L_cache=4, layer_types=["conv", "full_attention"] * 2),
    "with a head": lfm2_moe("Lfm2MoeForCausalLM", tie_word_embeddings=False),
    "with a tied head": lfm2_moe("Lfm2MoeForCausalLM"),
}
