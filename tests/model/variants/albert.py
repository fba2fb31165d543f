from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "embedding_size": 20,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}


def sharpen(model: torch.nn.Module) -> None:
    """Enlarge queries, and reduce outputs, so that layers with the same weights do not make all tokens alike."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("query.weight"):
                parameter.mul_(4)
            elif name.endswith("attention.dense.weight"):
                parameter.mul_(0.4)


def albert(model: str = "AlbertModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "all layers share one's weights": albert(),
    "groups of layers": albert(num_hidden_groups=2),
    "groups that do not divide the layers": albert(num_hidden_layers=5, num_hidden_groups=3),
    "several layers to a group": albert(num_hidden_layers=2, num_hidden_groups=2, inner_group_num=2),
    "embeddings as wide as the layers": albert(embedding_size=32),
    "sentence pairs (token types)": albert(types=(0,) * 10 + (1,) * 13),
    "with a head": albert("AlbertForMaskedLM", hidden_act="gelu"),
}
