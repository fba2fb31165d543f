from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE
from tests.model.variants.llama import sharpen


def persimmon(model: str = "PersimmonModel", scale: float = 0.3, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=scale, edit=sharpen)


def angles(**more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5} | more


VARIANTS = {
    "half of each head turns, queries and keys normed": persimmon(rope_parameters=angles()),
    "queries and keys not normed": persimmon(qk_layernorm=False),
    "whole heads turn": persimmon(rope_parameters=angles(partial_rotary_factor=1.0)),
    "rotary scaling: linear": persimmon(rope_parameters=angles(rope_type="linear", factor=2.5)),
    "another activation": persimmon(hidden_act="gelu", layer_norm_eps=1e-2),
    "with a head": persimmon("PersimmonForCausalLM"),
    "with a tied head": persimmon("PersimmonForCausalLM", tie_word_embeddings=True),
}
