from __future__ import annotations

from tests.model.variants.t5 import t5

VARIANTS = {
    "encoder–decoder": t5("UMT5ForConditionalGeneration"),
    "an encoder alone": t5("UMT5EncoderModel", None),
    "ungated MLPs": t5("UMT5Model", feed_forward_proj="relu"),
}
