from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.gptj import SHAPE


def codegen(model: str = "CodeGenModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.5)


VARIANTS = {
    "half of each head turns": codegen(),
    "whole heads turn": codegen(rotary_dim=8),
    "two heads a quarter": codegen(n_head=8, rotary_dim=2),
    "other inner size and activation": codegen(n_inner=48, activation_function="relu"),
    "with a head": codegen("CodeGenForCausalLM"),
    "with a tied head": codegen("CodeGenForCausalLM", tie_word_embeddings=True),
}
