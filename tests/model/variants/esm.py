from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.model.variants import IDS, Variant
from tests.model.variants.roberta import INSIDE, SHAPE

MASKED = (*IDS[:4], 4, *IDS[5:11], 4, 4, *IDS[13:])


def sharpen(model: torch.nn.Module) -> None:
    """Large queries; angles of the rotary positions that are not those of a new model."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("query.weight"):
                parameter.mul_(2)
        for name, buffer in model.named_buffers():
            if name.endswith("rotary_embeddings.inv_freq"):
                buffer.mul_(0.7)


def esm(model: str = "EsmModel", ids: Sequence[int] = IDS, **config: Any) -> Variant:
    shape = {"position_embedding_type": "rotary", "mask_token_id": 4, "pad_token_id": 1, "token_dropout": True}
    return Variant(model, SHAPE | shape | config, ids, scale=0.25, edit=sharpen)


VARIANTS = {
    "rotary positions (ESM-2)": esm(),
    "masks within the text": esm(ids=MASKED),
    "masks as other tokens": esm(ids=MASKED, token_dropout=False),
    "learned positions, normed embeddings (ESM-1b)": esm(
        position_embedding_type="absolute", emb_layer_norm_before=True, ids=MASKED
    ),
    "learned positions, padding inside the text": esm(position_embedding_type="absolute", ids=INSIDE),
    "decoder": esm(is_decoder=True),
    "with a head": esm("EsmForMaskedLM", layer_norm_eps=1e-2),
}
