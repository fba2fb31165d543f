from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE


def sharpen(model: torch.nn.Module) -> None:
    """Weights of norms around one, and large queries."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("ln.weight"):
                parameter.add_(1)
            if name.endswith("query.weight"):
                parameter.mul_(2.5)


def megatron(model: str = "MegatronBertModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.25, edit=sharpen)


VARIANTS = {
    "encoder": megatron(),
    "sentence pairs (token types)": megatron(types=(0,) * 10 + (1,) * 13),
    "decoder": megatron("MegatronBertForCausalLM", is_decoder=True),
    "with a head": megatron("MegatronBertForMaskedLM", hidden_act="gelu_new", layer_norm_eps=1e-3),
}
