from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE


def sharpen(model: torch.nn.Module) -> None:
    """Use small values and large queries, as in the variants of BERT."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("q_proj.weight"):
                parameter.mul_(3)


def gte(model: str = "GteModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": gte(),
    "sentence pairs (token types)": gte(types=(0,) * 10 + (1,) * 13, type_vocab_size=2),
    "no token types": gte(type_vocab_size=0),
    "linear rotary": gte(rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 100.0}),
    "heads of another size": gte(head_dim=12),
    "with a head": gte("GteForMaskedLM", hidden_act="relu", layer_norm_eps=1e-3),
}
