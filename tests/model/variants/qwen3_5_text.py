from __future__ import annotations

from typing import Any

from tests.model.variants import IDS, Variant
from tests.model.variants.larger import qwen_vl
from tests.model.variants.llama import SHAPE
from tests.model.variants.qwen3_next import DELTA, FULL, LINEAR, LONG, centre


def qwen3_5(model: str = "Qwen3_5TextModel", ids: Any = IDS, **config: Any) -> Variant:
    return Variant(model, SHAPE | DELTA | config, ids=ids, edit=centre)


VARIANTS = {
    "every other layer attends": qwen3_5(layer_types=[LINEAR, FULL] * 2),
    "one layer of four attends": qwen3_5(),
    "every other layer attends, first": qwen3_5(layer_types=[FULL, LINEAR, FULL, LINEAR]),
    "as many heads of keys as of values": qwen3_5(linear_num_key_heads=4, layer_types=[LINEAR, FULL] * 2),
    "one head of keys, biases, one key head": qwen3_5(
        linear_num_key_heads=1, attention_bias=True, num_key_value_heads=1, layer_types=[LINEAR, FULL, FULL, LINEAR]
    ),
    "all of a head turns": qwen3_5(rope_parameters={"rope_theta": 1e4, "partial_rotary_factor": 1.0}),
    "130 tokens": qwen3_5(ids=LONG, layer_types=[LINEAR, FULL] * 2),
    "the text of a larger one": qwen_vl("Qwen3_5Model", qwen3_5(), mrope_interleaved=True, partial_rotary_factor=1.0),
    "with a head": qwen3_5("Qwen3_5ForCausalLM"),
    "with a tied head": qwen3_5("Qwen3_5ForCausalLM", tie_word_embeddings=True),
}
