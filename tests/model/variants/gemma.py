from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.larger import larger
from tests.model.variants.llama import SHAPE


def gemma(model: str = "GemmaModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"head_dim": 8} | config, scale=0.15)


VARIANTS = {
    "grouped queries": gemma(),
    "one key head, heads of another size": gemma(num_key_value_heads=1, head_dim=12),
    "as many key heads": gemma(num_key_value_heads=4),
    "biases": gemma(attention_bias=True),
    "with a tied head": gemma("GemmaForCausalLM", hidden_act="gelu"),
    "with a head": gemma("GemmaForCausalLM", tie_word_embeddings=False),
    "the text of a PaliGemma": larger(
        "PaliGemmaModel", "gemma", gemma(), "siglip_vision_model", projection_dim=32, hidden_size=32, vocab_size=50
    ),
}
