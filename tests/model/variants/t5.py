from __future__ import annotations

from typing import Any

from tests.model.variants import TARGET, VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "d_kv": 5,
    "d_ff": 48,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 15,  # the text is longer
    "decoder_start_token_id": 0,
}


def t5(model: str = "T5ForConditionalGeneration", target: tuple[int, ...] | None = TARGET, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, target=target, scale=0.25)


VARIANTS = {
    "encoder–decoder": t5(),
    "without a head": t5("T5Model"),
    "gated MLPs": t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "gated, another activation": t5(feed_forward_proj="gated-silu"),
    "the published buckets": t5(relative_attention_num_buckets=32, relative_attention_max_distance=128),
    "an encoder alone": t5("T5EncoderModel", None),
    "an encoder that classifies": t5("T5ForTokenClassification", None),
    "mT5": t5("MT5ForConditionalGeneration"),
    "mT5: an encoder alone": t5("MT5EncoderModel", None),
}
