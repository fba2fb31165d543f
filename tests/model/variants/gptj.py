from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 40,
    "rotary_dim": 4,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def gptj(model: str = "GPTJModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.5)


VARIANTS = {
    "half of each head turns": gptj(),
    "whole heads turn": gptj(rotary_dim=8),
    "other inner size and activation": gptj(n_inner=48, activation_function="relu"),
    "with a head": gptj("GPTJForCausalLM"),
    "with a tied head": gptj("GPTJForCausalLM", tie_word_embeddings=True),
}
