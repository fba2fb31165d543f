from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.larger import qwen_vl
from tests.model.variants.llama import SHAPE

_TURNS = {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [2, 1, 1]}


def glm4v(model: str = "Glm4vTextModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"rope_parameters": _TURNS} | config)


VARIANTS = {
    "grouped queries, turning whole": glm4v(),
    "one key head": glm4v(num_key_value_heads=1),
    "rotary in half of each head": glm4v(
        rope_parameters=_TURNS | {"partial_rotary_factor": 0.5, "mrope_section": [1, 1, 0]}
    ),
    "glm_ocr: no biases": glm4v("GlmOcrTextModel", num_key_value_heads=4),
    "the text of a GLM-4.1V": qwen_vl("Glm4vModel", glm4v()),
    "the text of a GLM-4.1V with a head": qwen_vl("Glm4vForConditionalGeneration", glm4v()),
}
