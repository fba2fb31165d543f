from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.gpt2 import SHAPE


def ctrl(model: str = "CTRLModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"dff": 48} | config, scale=0.3)


VARIANTS = {
    "decoder": ctrl(),
    "another shape": ctrl(n_head=2, dff=20, layer_norm_epsilon=0.1),
    "with a head": ctrl("CTRLLMHeadModel"),
    "with a head of its own": ctrl("CTRLLMHeadModel", tie_word_embeddings=False),
}
