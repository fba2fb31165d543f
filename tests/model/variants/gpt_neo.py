from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_layers": 4,
    "num_heads": 4,
    "max_position_embeddings": 40,
    "attention_types": [[["global", "local"], 2]],
    "window_size": 6,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def gpt_neo(model: str = "GPTNeoModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.45)


VARIANTS = {
    "every other layer a window": gpt_neo(),
    "full, then windows": gpt_neo(attention_types=[[["global"], 1], [["local"], 3]], window_size=3),
    "no window": gpt_neo(attention_types=[[["global"], 4]]),
    "other inner size and activation": gpt_neo(intermediate_size=48, activation_function="silu"),
    "with a head": gpt_neo("GPTNeoForCausalLM"),
}
