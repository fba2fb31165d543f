from __future__ import annotations

from tests.model.variants.bart import bart

VARIANTS = {
    "encoder–decoder": bart("BlenderbotForConditionalGeneration"),
    "without a head": bart("BlenderbotModel"),
    "embeddings of their own": bart("BlenderbotForConditionalGeneration", tie_word_embeddings=False),
    "scaled embeddings": bart("BlenderbotForConditionalGeneration", scale_embedding=True),
    "a decoder alone": bart("BlenderbotForCausalLM", target=None, is_encoder_decoder=False),
}
