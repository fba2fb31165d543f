from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def eurobert(model: str = "EuroBertModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | {"mask_token_id": 4} | config)


VARIANTS = {
    "encoder, grouped queries": eurobert(),
    "one key head, biases": eurobert(num_key_value_heads=1, attention_bias=True, mlp_bias=True),
    "heads of another size": eurobert(head_dim=12, num_key_value_heads=4),
    "linear rotary": eurobert(rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 100.0}),
    "with a head": eurobert("EuroBertForMaskedLM", hidden_act="gelu"),
    "with a tied head": eurobert("EuroBertForMaskedLM", tie_word_embeddings=True),
}
