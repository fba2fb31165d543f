from __future__ import annotations

from functools import partial
from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE, sharpen


def prepare(model: torch.nn.Module, *, own: bool = False) -> None:
    """Enlarge queries, and keep the sines and cosines unless the table is to be its ``own``."""
    sharpen(model)
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "create_weight"):
                module.weight.copy_(module.weight * 4 if own else module.create_weight())


def roformer(
    model: str = "RoFormerModel", types: tuple[int, ...] | None = None, *, own: bool = False, **config: Any
) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=partial(prepare, own=own))


VARIANTS = {
    "encoder": roformer(),
    "values turned too": roformer(rotary_value=True),
    "embeddings narrower than the model": roformer(embedding_size=20),
    "any numbers in the table": roformer(own=True, rotary_value=True),
    "sentence pairs (token types)": roformer(types=(0,) * 10 + (1,) * 13),
    "decoder": roformer("RoFormerForCausalLM", is_decoder=True),
    "with a head": roformer("RoFormerForMaskedLM", hidden_act="relu", layer_norm_eps=1e-3, embedding_size=24),
}
