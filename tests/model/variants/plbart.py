from __future__ import annotations

from tests.model.variants.bart import bart

VARIANTS = {
    "encoder–decoder": bart("PLBartForConditionalGeneration"),
    "without a head": bart("PLBartModel"),
    "embeddings of their own": bart("PLBartForConditionalGeneration", tie_word_embeddings=False),
    "scaled embeddings": bart("PLBartForConditionalGeneration", scale_embedding=True),
    "a decoder alone": bart("PLBartForCausalLM", target=None, is_encoder_decoder=False),
}
