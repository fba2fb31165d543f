from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.bart import bart


def small(model: str = "BlenderbotSmallForConditionalGeneration", **config: Any) -> Variant:
    return bart(model, **config)


VARIANTS = {
    "encoder–decoder": small(),
    "without a head": small("BlenderbotSmallModel"),
    "embeddings of their own": small(tie_word_embeddings=False),
    "scaled embeddings": small(scale_embedding=True),
    "another activation": small(activation_function="relu"),
    "a decoder alone": small("BlenderbotSmallForCausalLM", target=None, is_encoder_decoder=False),
}
