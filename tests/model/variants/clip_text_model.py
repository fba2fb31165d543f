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
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def clip(model: str = "CLIPTextModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "text": clip(),
    "another activation, one head": clip(hidden_act="gelu", num_attention_heads=1),
    "with a projection": clip("CLIPTextModelWithProjection"),
}
