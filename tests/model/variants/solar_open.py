from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.deepseek_v3 import correct
from tests.model.variants.llama import SHAPE


def solar(model: str = "SolarOpenModel", **config: Any) -> Variant:
    shape = {"n_routed_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8}
    return Variant(model, {k: v for k, v in SHAPE.items() if k != "intermediate_size"} | shape | config, edit=correct)


VARIANTS = {
    "grouped queries": solar(),
    "biases, shares as they are": solar(attention_bias=True, norm_topk_prob=False, n_shared_experts=2),
    "groups of experts, heads of another size": solar(n_group=3, topk_group=2, head_dim=12),
    "with a head": solar("SolarOpenForCausalLM", routed_scaling_factor=1.7),
    "with a tied head": solar("SolarOpenForCausalLM", tie_word_embeddings=True),
}
