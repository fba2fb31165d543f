from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.larger import larger
from tests.model.variants.llama import SHAPE


def gemma3(model: str = "Gemma3TextModel", **config: Any) -> Variant:
    shape = {"head_dim": 8, "query_pre_attn_scalar": 12, "sliding_window": 6, "sliding_window_pattern": 2}
    return Variant(model, SHAPE | shape | config)


VARIANTS = {
    "alternating windows, two rotary bases": gemma3(num_hidden_layers=4),
    "one key head, heads of another size": gemma3(num_key_value_heads=1, head_dim=12),
    "as many key heads": gemma3(num_key_value_heads=4),
    "biases": gemma3(attention_bias=True),
    "windows by type of layer": gemma3(layer_types=["full_attention", "sliding_attention", "full_attention"]),
    "scaled rotary in layers that see all": gemma3(rope_scaling={"rope_type": "linear", "factor": 8.0}),
    "two rotary bases, said": gemma3(
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 3.0, "rope_theta": 200.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
        }
    ),
    "with a tied head": gemma3("Gemma3ForCausalLM"),
    "with a head": gemma3("Gemma3ForCausalLM", tie_word_embeddings=False),
    "the text of a Gemma 3": larger(
        "Gemma3Model", "gemma3_text", gemma3(), "siglip_vision_model", mm_tokens_per_image=4
    ),
}
