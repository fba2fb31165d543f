from __future__ import annotations

from functools import partial

from tests.model.variants import IDS
from tests.model.variants.bart import bart

mvp = partial(bart, "MvpForConditionalGeneration")

VARIANTS = {
    "encoder–decoder": mvp(),
    "embeddings of their own": mvp(tie_word_embeddings=False),
    "scaled embeddings": mvp(scale_embedding=True),
    "padding within the text": mvp(ids=(*IDS[:9], 1, *IDS[10:])),
    "without a head": bart("MvpModel"),
    "a decoder alone": bart("MvpForCausalLM", target=None, is_encoder_decoder=False),
}
