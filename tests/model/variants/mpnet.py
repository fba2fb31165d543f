from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.model.variants import IDS, VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 180,
    "layer_norm_eps": 1e-5,
}


def sharpen(model: torch.nn.Module) -> None:
    """Use large queries and small values, as in the variants of BERT, and biases that matter."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("attn.q.weight", "relative_attention_bias.weight")):
                parameter.mul_(3)


def mpnet(model: str = "MPNetModel", ids: Sequence[int] = IDS, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, ids, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": mpnet(),
    "distances beyond the last bucket": mpnet(ids=IDS * 7),
    "padding inside the text": mpnet(ids=(*IDS[:9], 1, 1, *IDS[9:], 1)),
    "with a head": mpnet("MPNetForMaskedLM", hidden_act="relu", pad_token_id=3),
}
