from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE


def biogpt(model: str = "BioGptModel", scale: float = 0.3, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=scale)


VARIANTS = {
    "decoder": biogpt(),
    "embeddings not scaled": biogpt(scale_embedding=False),
    "another activation": biogpt(hidden_act="relu", layer_norm_eps=0.1),
    "with a head": biogpt("BioGptForCausalLM"),
    "with a head of its own": biogpt("BioGptForCausalLM", tie_word_embeddings=False),
}
