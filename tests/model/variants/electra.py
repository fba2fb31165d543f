from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "embedding_size": 20,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}


def sharpen(model: torch.nn.Module) -> None:
    """Use large queries and small values, as in the variants of BERT."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("query.weight"):
                parameter.mul_(4)


def electra(model: str = "ElectraModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "smaller embeddings": electra(),
    "larger embeddings": electra(embedding_size=48),
    "embeddings as wide as the layers": electra(embedding_size=32),
    "sentence pairs (token types)": electra(types=(0,) * 10 + (1,) * 13),
    "decoder": electra("ElectraForCausalLM", is_decoder=True),
    "discriminator": electra("ElectraForPreTraining"),
    "generator": electra("ElectraForMaskedLM", hidden_act="silu"),
}
