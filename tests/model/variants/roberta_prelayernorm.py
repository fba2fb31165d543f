from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.model.variants import IDS, Variant
from tests.model.variants.roberta import INSIDE, SHAPE


def sharpen(model: torch.nn.Module) -> None:
    """Large queries; with pre-norms, additions may be large too."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("query.weight"):
                parameter.mul_(2)


def prenorm(
    model: str = "RobertaPreLayerNormModel",
    ids: Sequence[int] = IDS,
    types: Sequence[int] | None = None,
    **config: Any,
) -> Variant:
    return Variant(model, SHAPE | config, ids, types=types, scale=0.25, edit=sharpen)


VARIANTS = {
    "encoder": prenorm(),
    "padding inside the text": prenorm(ids=INSIDE),
    "token types": prenorm(types=(0,) * 10 + (1,) * 13),
    "decoder": prenorm("RobertaPreLayerNormForCausalLM", is_decoder=True),
    "with a head": prenorm("RobertaPreLayerNormForMaskedLM", hidden_act="relu", layer_norm_eps=1e-2),
}
