from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_multiple_size": 2,
    "max_position_embeddings": 40,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def neox(model: str = "GPTNeoXJapaneseModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.3)


VARIANTS = {
    "whole heads turn": neox(),
    "half of each head turns": neox(rope_parameters={"partial_rotary_factor": 0.5, "rope_theta": 500.0}),
    "one layer, with the bias": neox(num_hidden_layers=1),
    "scaled positions": neox(rope_parameters={"rope_type": "linear", "factor": 4.0}),
    "with a head": neox("GPTNeoXJapaneseForCausalLM", hidden_act="relu"),
    "with a head of its own": neox("GPTNeoXJapaneseForCausalLM", tie_word_embeddings=False),
}
