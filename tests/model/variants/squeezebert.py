from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE, sharpen


def prepare(model: torch.nn.Module) -> None:
    """Enlarge queries and keys, which blocks make small."""
    sharpen(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("query.weight", "key.weight")):
                parameter.mul_(len(parameter) / parameter.shape[1] / 2 + 0.5)


def squeezebert(model: str = "SqueezeBertModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | {"embedding_size": 32} | config, types=types, scale=0.18, edit=prepare)


VARIANTS = {
    "encoder": squeezebert(),
    "other numbers of blocks": squeezebert(
        q_groups=2, k_groups=8, v_groups=1, post_attention_groups=2, intermediate_groups=16, output_groups=8
    ),
    "without blocks": squeezebert(q_groups=1, k_groups=1, v_groups=1, intermediate_groups=1, output_groups=1),
    "sentence pairs (token types)": squeezebert(types=(0,) * 10 + (1,) * 13),
    "with a head": squeezebert("SqueezeBertForMaskedLM", hidden_act="relu", layer_norm_eps=1e-3),
}
