from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "num_layers": 3,
    "attention_heads": 4,
    "ffn_dim": 48,
    "max_position_embeddings": 40,
}


def xglm(model: str = "XGLMModel", scale: float = 0.3, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=scale)


VARIANTS = {
    "decoder": xglm(),
    "embeddings not scaled": xglm(scale_embedding=False),
    "another activation": xglm(activation_function="relu"),
    "with a head": xglm("XGLMForCausalLM"),
    "with a head of its own": xglm("XGLMForCausalLM", tie_word_embeddings=False),
}
