from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tests.model.variants import IDS, VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "emb_dim": 32,
    "n_layers": 3,
    "n_heads": 4,
    "max_position_embeddings": 40,
}
TWO: dict[str, Any] = {"n_langs": 2, "lang2id": {"en": 0, "fr": 1}, "id2lang": {0: "en", 1: "fr"}}


def sharpen(model: torch.nn.Module) -> None:
    """Use large queries and small values, as in the variants of BERT."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("q_lin.weight"):
                parameter.mul_(3)


def xlm(model: str = "XLMModel", given: Mapping[str, Sequence[Sequence[int]]] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.15, edit=sharpen, given=given or {})


VARIANTS = {
    "encoder": xlm(),
    "no language named": xlm(**TWO),
    "a language named": xlm(given={"langs": [[1] * len(IDS)]}, default_language="fr", **TWO),
    "causal": xlm(causal=True),
    "another activation": xlm(gelu_activation=False, layer_norm_eps=1e-3),
    "sines for positions": xlm(sinusoidal_embeddings=True),
    "with a head": xlm("XLMWithLMHeadModel", n_heads=2),
}
