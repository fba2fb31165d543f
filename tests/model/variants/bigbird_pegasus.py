from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import TARGET, Variant
from tests.model.variants.bart import SHAPE


def sharpen(model: torch.nn.Module) -> None:
    """Large queries, and biases of the head, which are not parameters."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("q_proj.weight", "query.weight")):
                parameter.mul_(2)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_(generator=torch.Generator().manual_seed(1))


def bigbird(
    model: str = "BigBirdPegasusForConditionalGeneration", target: tuple[int, ...] | None = TARGET, **config: Any
) -> Variant:
    shape = SHAPE | {"attention_type": "original_full", "pad_token_id": 0, "scale_embedding": False}
    return Variant(model, shape | config, target=target, scale=0.25, edit=sharpen)


VARIANTS = {
    "encoder–decoder": bigbird(),
    "without a head": bigbird("BigBirdPegasusModel"),
    "biases of queries, keys, values and outputs": bigbird(use_bias=True),
    "scaled embeddings": bigbird(scale_embedding=True),
    "another activation": bigbird(activation_function="relu"),
    "a decoder alone": bigbird("BigBirdPegasusForCausalLM", None, is_encoder_decoder=False),
}
