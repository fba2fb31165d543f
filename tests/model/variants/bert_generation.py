from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE, sharpen


def generation(model: str = "BertGenerationEncoder", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": generation(),
    "another activation": generation(hidden_act="relu", layer_norm_eps=1e-3),
    "decoder": generation("BertGenerationDecoder", is_decoder=True),
    "decoder with a head of its own": generation("BertGenerationDecoder", is_decoder=True, tie_word_embeddings=False),
}
