from __future__ import annotations

from tests.model.variants.bart import bart

VARIANTS = {
    "encoder–decoder": bart("MBartForConditionalGeneration"),
    "without a head": bart("MBartModel"),
    "embeddings of their own": bart("MBartForConditionalGeneration", tie_word_embeddings=False),
    "scaled embeddings": bart("MBartForConditionalGeneration", scale_embedding=True),
    "a decoder alone": bart("MBartForCausalLM", target=None, is_encoder_decoder=False),
}
