from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.larger import qwen_vl
from tests.model.variants.llama import SHAPE


def qwen2(model: str = "Qwen2Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


VARIANTS = {
    "grouped queries": qwen2(),
    "one key head": qwen2(num_key_value_heads=1),
    "with a head": qwen2("Qwen2ForCausalLM", num_key_value_heads=4),
    "with a tied head": qwen2("Qwen2ForCausalLM", tie_word_embeddings=True),
    "windows in the upper layers": qwen2(use_sliding_window=True, sliding_window=5, max_window_layers=1),
    "windows by type of layer": qwen2(
        use_sliding_window=True, sliding_window=5, layer_types=["sliding_attention", "full_attention", "full_attention"]
    ),
    "yarn rotary": qwen2(
        rope_parameters={
            "rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0, "original_max_position_embeddings": 16
        }
    ),
    "the text of a Qwen2-VL": qwen_vl("Qwen2VLModel", qwen2()),
    "the text of a Qwen2.5-VL with a head": qwen_vl("Qwen2_5_VLForConditionalGeneration", qwen2()),
}  # fmt: skip
