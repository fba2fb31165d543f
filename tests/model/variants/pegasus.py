from __future__ import annotations

from tests.model.variants.bart import bart

VARIANTS = {
    "encoder–decoder": bart("PegasusForConditionalGeneration", scale=0.25),
    "without a head": bart("PegasusModel", scale=0.25),
    "embeddings of their own": bart("PegasusForConditionalGeneration", tie_word_embeddings=False, scale=0.25),
    "scaled embeddings": bart("PegasusForConditionalGeneration", scale_embedding=True, scale=0.25),
    "a decoder alone": bart("PegasusForCausalLM", target=None, is_encoder_decoder=False, scale=0.25),
}
