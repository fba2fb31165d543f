from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def sharpen(model: torch.nn.Module) -> None:
    """Few dimensions with large values: normed queries and keys are short, and their norms have no weights."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                parameter[::4].mul_(6)


def nanochat(model: str = "NanoChatModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, edit=sharpen)


VARIANTS = {
    "grouped queries": nanochat(),
    "one key head, biases": nanochat(num_key_value_heads=1, attention_bias=True),
    "another base of rotary positions": nanochat(rope_parameters={"rope_type": "default", "rope_theta": 30.0}),
    "another activation": nanochat(hidden_act="gelu", rms_norm_eps=1e-2),
    "with a head": nanochat("NanoChatForCausalLM", final_logit_softcapping=2.0),
    "with a tied head, no soft cap": nanochat(
        "NanoChatForCausalLM", final_logit_softcapping=None, tie_word_embeddings=True
    ),
}
