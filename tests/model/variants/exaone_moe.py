from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.glm4_moe import edit
from tests.model.variants.llama import SHAPE, SLIDES


def exaone(model: str = "ExaoneMoeModel", **config: Any) -> Variant:
    shape = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "sliding_window": 5}
    return Variant(model, SHAPE | shape | config, edit=edit)


VARIANTS = {
    "windows by a pattern": exaone(sliding_window_pattern=2),
    "windows by type of layer, two shared experts": exaone(
        layer_types=[SLIDES, "full_attention", SLIDES], num_shared_experts=2
    ),
    "experts by the type of layer": exaone(mlp_layer_types=["sparse", "dense", "sparse"]),
    "groups of experts, shares as they are": exaone(n_group=3, topk_group=2, norm_topk_prob=False),
    "with a head": exaone("ExaoneMoeForCausalLM", num_key_value_heads=4),
    "with a tied head": exaone("ExaoneMoeForCausalLM", tie_word_embeddings=True),
}
