from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
}
V3: dict[str, Any] = {
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_buckets": 8,
    "position_biased_input": False,
    "pos_att_type": "p2c|c2p",
}
CONVOLUTION: dict[str, Any] = V3 | {"conv_kernel_size": 3, "conv_act": "gelu"}


def sharpen(model: torch.nn.Module) -> None:
    """Use large queries and small values, as in the variants of BERT, and positions that matter."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("query_proj.weight", "rel_embeddings.weight")):
                parameter.mul_(3)


def deberta(model: str = "DebertaV2Model", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "contents and positions": deberta(),
    "contents to positions only": deberta(pos_att_type=["c2p"]),
    "positions to contents only": deberta(pos_att_type=["p2c"]),
    "shared projections, one way": deberta(pos_att_type=["p2c"], share_att_key=True),
    "distances clipped": deberta(max_relative_positions=6),
    "distances in buckets": deberta(position_buckets=8),
    "distances in few buckets, clipped": deberta(position_buckets=6, max_relative_positions=12),
    "normed positions": deberta(norm_rel_ebd="layer_norm"),
    "absolute positions only": deberta(relative_attention=False),
    "no relative positions named": deberta(pos_att_type=None),
    "v3 (shared, normed, in buckets, no absolute positions)": deberta(**V3),
    "sentence pairs (token types)": deberta(**V3, type_vocab_size=2, types=(0,) * 10 + (1,) * 13),
    "convolution (v2-xlarge)": deberta(**CONVOLUTION),
    "convolution of five, in groups": deberta(conv_kernel_size=5, conv_groups=4),
    "with a head": deberta("DebertaV2ForMaskedLM", **V3, hidden_act="relu", layer_norm_eps=1e-3),
}
