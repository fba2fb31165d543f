from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def vault(model: str = "VaultGemmaModel", scale: float = 0.2, **config: Any) -> Variant:
    shape = {"head_dim": 8, "query_pre_attn_scalar": 12, "attn_logit_softcapping": 2.0, "sliding_window": 6}
    return Variant(model, SHAPE | shape | config, scale=scale)


VARIANTS = {
    "soft caps and alternating windows": vault(num_hidden_layers=4),
    "one key head, heads of another size": vault(num_key_value_heads=1, head_dim=12),
    "no soft cap": vault(attn_logit_softcapping=None),
    "windows by type of layer, biases": vault(
        layer_types=["full_attention", "sliding_attention", "sliding_attention"], attention_bias=True
    ),
    "with a tied head": vault("VaultGemmaForCausalLM"),
    "with a head": vault("VaultGemmaForCausalLM", tie_word_embeddings=False),
}
