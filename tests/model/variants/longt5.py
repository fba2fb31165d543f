from __future__ import annotations

from typing import Any

from tests.model.variants import TARGET, Variant
from tests.model.variants.t5 import SHAPE


def longt5(
    model: str = "LongT5ForConditionalGeneration", target: tuple[int, ...] | None = TARGET, **config: Any
) -> Variant:
    return Variant(model, SHAPE | {"local_radius": 4} | config, target=target, scale=0.25)


VARIANTS = {
    "encoder–decoder": longt5(),
    "without a head": longt5("LongT5Model"),
    "one token to each side": longt5(local_radius=1),
    "all tokens to each side": longt5(local_radius=30),
    "gated MLPs": longt5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "an encoder alone": longt5("LongT5EncoderModel", None),
}
