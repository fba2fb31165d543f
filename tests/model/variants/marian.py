from __future__ import annotations

from functools import partial

from tests.model.variants.bart import bart

marian = partial(bart, scale=0.15, sharpness=10)

VARIANTS = {
    "encoder–decoder": marian("MarianMTModel"),
    "without a head": marian("MarianModel"),
    "embeddings of their own": marian("MarianMTModel", tie_word_embeddings=False),
    "a vocabulary for each side": marian(
        "MarianMTModel", share_encoder_decoder_embeddings=False, decoder_vocab_size=60
    ),
    "scaled embeddings": marian("MarianMTModel", scale_embedding=True),
    "a decoder alone": marian("MarianForCausalLM", target=None, is_encoder_decoder=False),
}
