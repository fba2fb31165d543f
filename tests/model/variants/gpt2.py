from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 40,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def gpt2(model: str = "GPT2Model", scale: float = 0.6, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=scale)


VARIANTS = {
    "decoder": gpt2(),
    "scores divided by the layer": gpt2(scale_attn_by_inverse_layer_idx=True, scale=0.7),
    "scores not scaled": gpt2(scale_attn_weights=False, scale=0.45),
    "other inner size and activation": gpt2(n_inner=48, activation_function="relu"),
    "with a head": gpt2("GPT2LMHeadModel"),
    "with a head of its own": gpt2("GPT2LMHeadModel", tie_word_embeddings=False),
}
