from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.deepseek_v3 import correct
from tests.model.variants.llama import SHAPE


def ernie(model: str = "Ernie4_5_MoeModel", **config: Any) -> Variant:
    shape = {"moe_num_experts": 5, "moe_k": 2, "moe_intermediate_size": 16, "moe_num_shared_experts": 1}
    return Variant(model, SHAPE | shape | config, edit=correct)


VARIANTS = {
    "a layer without experts": ernie(),
    "biases, two shared experts": ernie(use_bias=True, moe_num_shared_experts=2),
    "no shared expert, every other layer": ernie(moe_num_shared_experts=0, moe_layer_interval=2),
    "experts in the middle": ernie(moe_layer_start_index=1, moe_layer_end_index=1, head_dim=12),
    "with a head": ernie("Ernie4_5_MoeForCausalLM", tie_word_embeddings=False),
    "with a tied head": ernie("Ernie4_5_MoeForCausalLM"),
}
