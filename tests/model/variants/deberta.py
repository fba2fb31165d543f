from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.deberta_v2 import SHAPE


def sharpen(model: torch.nn.Module) -> None:
    """Use large queries and keys and small values, as in the variants of BERT, and positions that matter."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("in_proj.weight"):
                parameter.view(4, 3, -1, 32)[:, :2].mul_(1.7)
            if name.endswith("rel_embeddings.weight"):
                parameter.mul_(3)


def deberta(model: str = "DebertaModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "contents and positions": deberta(),
    "contents to positions only": deberta(pos_att_type=["c2p"]),
    "positions to contents only": deberta(pos_att_type=["p2c"]),
    "distances clipped": deberta(max_relative_positions=6),
    "absolute positions only": deberta(relative_attention=False),
    "no absolute positions": deberta(position_biased_input=False, pos_att_type="c2p|p2c"),
    "sentence pairs (token types)": deberta(type_vocab_size=2, types=(0,) * 10 + (1,) * 13),
    "with a head": deberta("DebertaForMaskedLM", hidden_act="relu", layer_norm_eps=1e-3),
}
