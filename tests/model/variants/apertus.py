from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE, sharpen


def prepare(model: torch.nn.Module) -> None:
    """Large queries, and constants of the activation that are not those of a new model."""
    sharpen(model)
    with torch.no_grad():
        for i, module in enumerate(each for each in model.modules() if hasattr(each, "alpha_p")):
            module.beta.fill_(0.3 + 0.2 * i)
            module.eps.fill_(-0.1)


def apertus(model: str = "ApertusModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, edit=prepare)


VARIANTS = {
    "grouped queries": apertus(),
    "one key head, biases": apertus(num_key_value_heads=1, attention_bias=True),
    "heads of another size": apertus(head_dim=12, num_key_value_heads=4),
    "another activation": apertus(hidden_act="relu2"),
    "another base of rotary positions": apertus(rope_parameters={"rope_type": "default", "rope_theta": 100.0}),
    "with a head": apertus("ApertusForCausalLM"),
    "with a tied head": apertus("ApertusForCausalLM", tie_word_embeddings=True),
}
