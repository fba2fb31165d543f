from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.deepseek_v2 import LATENT, YARN

_OF_EXPERTS = ("expert", "moe_", "first_k_dense_replace")
_DENSE = {name: value for name, value in LATENT.items() if not any(part in name for part in _OF_EXPERTS)}


def youtu(model: str = "YoutuModel", **config: Any) -> Variant:
    return Variant(model, _DENSE | config)


VARIANTS = {
    "queries from a vector": youtu(),
    "queries as ever, large values": youtu(q_lora_rank=None, v_head_dim=16),
    "biases, halves paired": youtu(attention_bias=True, rope_interleave=False),
    "yarn rotary, which scales the scores": youtu(rope_parameters=YARN),
    "with a head": youtu("YoutuForCausalLM", tie_word_embeddings=False),
    "with a tied head": youtu("YoutuForCausalLM"),
}
