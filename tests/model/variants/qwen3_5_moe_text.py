from __future__ import annotations

from typing import Any

from tests.model.variants import IDS, Variant
from tests.model.variants.larger import qwen_vl
from tests.model.variants.llama import SHAPE
from tests.model.variants.qwen2_moe import EXPERTS
from tests.model.variants.qwen3_next import DELTA, FULL, LINEAR, LONG, centre


def qwen3_5_moe(model: str = "Qwen3_5MoeTextModel", ids: Any = IDS, **config: Any) -> Variant:
    return Variant(model, SHAPE | DELTA | EXPERTS | config, ids=ids, edit=centre)


VARIANTS = {
    "every other layer attends": qwen3_5_moe(layer_types=[LINEAR, FULL] * 2, num_key_value_heads=1),
    "one layer of four attends": qwen3_5_moe(),
    "as many heads of keys as of values, biases": qwen3_5_moe(
        linear_num_key_heads=4, attention_bias=True, layer_types=[FULL, LINEAR, LINEAR, FULL]
    ),
    "65 tokens": qwen3_5_moe(ids=LONG[:65], layer_types=[LINEAR, FULL] * 2),
    "the text of a larger one": qwen_vl(
        "Qwen3_5MoeModel",
        qwen3_5_moe(num_hidden_layers=2, layer_types=[LINEAR, FULL]),
        mrope_interleaved=True,
        partial_rotary_factor=1.0,
    ),
    "with a head": qwen3_5_moe("Qwen3_5MoeForCausalLM"),
    "with a tied head": qwen3_5_moe("Qwen3_5MoeForCausalLM", tie_word_embeddings=True),
}
