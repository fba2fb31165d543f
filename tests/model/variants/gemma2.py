from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def gemma2(model: str = "Gemma2Model", scale: float = 0.3, **config: Any) -> Variant:
    shape = {"head_dim": 8, "query_pre_attn_scalar": 12, "attn_logit_softcapping": 2.0, "sliding_window": 6}
    return Variant(model, SHAPE | shape | config, scale=scale)


VARIANTS = {
    "soft caps and alternating windows": gemma2(num_hidden_layers=4),
    "one key head, heads of another size": gemma2(num_key_value_heads=1, head_dim=12),
    "as many key heads": gemma2(num_key_value_heads=4),
    "no soft cap": gemma2(attn_logit_softcapping=None, scale=0.22),
    "biases": gemma2(attention_bias=True),
    "windows by type of layer": gemma2(layer_types=["full_attention", "sliding_attention", "sliding_attention"]),
    "with a tied head": gemma2("Gemma2ForCausalLM"),
    "with a head": gemma2("Gemma2ForCausalLM", tie_word_embeddings=False),
}
