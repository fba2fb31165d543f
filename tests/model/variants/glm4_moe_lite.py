from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.deepseek_v2 import LATENT, YARN
from tests.model.variants.deepseek_v3 import correct


def lite(model: str = "Glm4MoeLiteModel", **config: Any) -> Variant:
    latent = {name: value for name, value in LATENT.items() if name != "first_k_dense_replace"}
    return Variant(model, latent | {"n_group": 1, "topk_group": 1} | config, edit=correct)


VARIANTS = {
    "queries from a vector": lite(),
    "queries as ever, large values": lite(q_lora_rank=None, v_head_dim=16),
    "experts by the type of layer": lite(mlp_layer_types=["sparse", "dense", "sparse"]),
    "groups of experts": lite(n_group=3, topk_group=2, n_routed_experts=9, num_experts_per_tok=3),
    "biases, halves paired, shares as they are": lite(attention_bias=True, rope_interleave=False, norm_topk_prob=False),
    "yarn rotary, which scales the scores": lite(rope_parameters=YARN),
    "with a head": lite("Glm4MoeLiteForCausalLM"),
    "with a tied head": lite("Glm4MoeLiteForCausalLM", tie_word_embeddings=True),
}
