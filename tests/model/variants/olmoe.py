from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE, sharpen


def olmoe(model: str = "OlmoeModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"num_experts": 5, "num_experts_per_tok": 2} | config, edit=sharpen)


VARIANTS = {
    "as many key heads": olmoe(num_key_value_heads=4),
    "grouped queries": olmoe(),
    "shares of the chosen experts": olmoe(norm_topk_prob=True, num_experts_per_tok=3),
    "limited queries, keys and values": olmoe(clip_qkv=1.5),
    "biases": olmoe(attention_bias=True),
    "with a head": olmoe("OlmoeForCausalLM"),
    "with a tied head": olmoe("OlmoeForCausalLM", tie_word_embeddings=True),
}
