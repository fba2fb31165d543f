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
}


def sharpen(model: torch.nn.Module) -> None:
    """Use small values and large queries: with post-norms, large additions make tokens alike."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("query.weight"):
                parameter.mul_(3)


def bert(model: str = "BertModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": bert(),
    "sentence pairs (token types)": bert(types=(0,) * 10 + (1,) * 13),
    "decoder": bert(is_decoder=True),
    "with a head": bert("BertForMaskedLM", hidden_act="gelu_new"),
}
