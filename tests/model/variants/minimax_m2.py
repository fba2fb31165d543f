from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.deepseek_v3 import correct
from tests.model.variants.llama import SHAPE


def minimax(model: str = "MiniMaxM2Model", **config: Any) -> Variant:
    shape = {"num_local_experts": 5, "num_experts_per_tok": 2, "head_dim": 8}
    return Variant(model, SHAPE | shape | config, edit=correct)


VARIANTS = {
    "grouped queries": minimax(),
    "heads of another size, three experts": minimax(head_dim=12, num_experts_per_tok=3),
    "rotary in half of each head": minimax(
        rope_parameters={"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5}
    ),
    "as many key heads": minimax(num_key_value_heads=4),
    "with a head": minimax("MiniMaxM2ForCausalLM"),
    "with a tied head": minimax("MiniMaxM2ForCausalLM", tie_word_embeddings=True),
}
