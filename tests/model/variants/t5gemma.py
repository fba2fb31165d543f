from __future__ import annotations

from typing import Any

from tests.model.variants import TARGET, Variant
from tests.model.variants.llama import SHAPE

STACK = SHAPE | {"head_dim": 8, "query_pre_attn_scalar": 12, "attn_logit_softcapping": 2.0, "sliding_window": 5}
UNCAPPED = {"attn_logit_softcapping": None, "query_pre_attn_scalar": 40}


def t5gemma(
    model: str = "T5GemmaModel",
    encoder: dict[str, Any] | None = None,
    decoder: dict[str, Any] | None = None,
    target: tuple[int, ...] | None = TARGET,
    **config: Any,
) -> Variant:
    stacks = {"encoder": STACK | (encoder or {}), "decoder": STACK | (decoder or {})}
    return Variant(model, stacks | {"vocab_size": SHAPE["vocab_size"]} | config, target=target)


VARIANTS = {
    "two stacks": t5gemma(),
    "a smaller decoder": t5gemma(
        decoder={"hidden_size": 24, "num_attention_heads": 3, "num_key_value_heads": 1, "num_hidden_layers": 2}
    ),
    "biases, no caps": t5gemma(
        encoder=UNCAPPED | {"attention_bias": True},
        decoder=UNCAPPED | {"attention_bias": True},
    ),
    "other windows": t5gemma(
        encoder={"sliding_window": 3},
        decoder={"layer_types": ["full_attention", "full_attention", "sliding_attention"]},
    ),
    "with a head": t5gemma("T5GemmaForConditionalGeneration", tie_word_embeddings=False),
    "with a tied head": t5gemma("T5GemmaForConditionalGeneration"),
    "an encoder alone": t5gemma("T5GemmaEncoderModel", target=None, is_encoder_decoder=False),
}
