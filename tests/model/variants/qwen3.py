from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.larger import qwen_vl
from tests.model.variants.llama import SHAPE, sharpen


def qwen3(model: str = "Qwen3Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"head_dim": 8} | config, edit=sharpen)


VARIANTS = {
    "grouped queries": qwen3(),
    "one key head": qwen3(num_key_value_heads=1),
    "heads of another size": qwen3(head_dim=12, num_key_value_heads=4),
    "biases": qwen3(attention_bias=True),
    "with a head": qwen3("Qwen3ForCausalLM"),
    "with a tied head": qwen3("Qwen3ForCausalLM", tie_word_embeddings=True),
    "windows in the upper layers": qwen3(use_sliding_window=True, sliding_window=5, max_window_layers=1),
    "yarn rotary": qwen3(
        rope_parameters={
            "rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0, "original_max_position_embeddings": 16
        }
    ),
    "the text of a Qwen3-VL": qwen_vl("Qwen3VLModel", qwen3(), mrope_interleaved=True),
}  # fmt: skip
