from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 10}


def gpt_neox(model: str = "GPTNeoXModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.3)


def rope(theta: float = 10_000.0, part: float = 0.5, **scaling: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": part} | scaling


VARIANTS = {
    "side by side, a quarter of each head turns": gpt_neox(),
    "one after the other": gpt_neox(use_parallel_residual=False),
    "whole heads turn": gpt_neox(rope_parameters=rope(500.0, 1.0)),
    "no attention biases": gpt_neox(attention_bias=False),
    "rotary scaling: linear": gpt_neox(rope_parameters=rope(rope_type="linear", factor=3.0)),
    "rotary scaling: dynamic": gpt_neox(
        rope_parameters=rope(rope_type="dynamic", factor=3.0), max_position_embeddings=12
    ),
    "rotary scaling: yarn": gpt_neox(rope_parameters=rope(part=1.0, **YARN)),
    "another activation": gpt_neox(hidden_act="gelu_fast"),
    "with a head": gpt_neox("GPTNeoXForCausalLM"),
    "with a tied head": gpt_neox("GPTNeoXForCausalLM", tie_word_embeddings=True),
}
