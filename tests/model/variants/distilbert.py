from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "dim": 32,
    "n_layers": 3,
    "n_heads": 4,
    "hidden_dim": 48,
    "max_position_embeddings": 40,
}


def sharpen(model: torch.nn.Module) -> None:
    """Use large queries and small values, as in the variants of BERT."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("q_lin.weight"):
                parameter.mul_(3)


def distilbert(model: str = "DistilBertModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": distilbert(),
    "sinusoidal positions (a table)": Variant(
        "DistilBertModel", SHAPE | {"sinusoidal_pos_embds": True}, scale=0.2, edit=sharpen
    ),
    "with a head": distilbert("DistilBertForMaskedLM", activation="relu"),
}
