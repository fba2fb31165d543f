from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.gpt2 import SHAPE


def sharpen(model: torch.nn.Module) -> None:
    """Weights of norms around one, large embeddings, queries and keys, and small values, as in the variants of BERT."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("c_attn.weight"):
                parameter[:, : 2 * parameter.shape[0]].mul_(1.7)
            if "ln_" in name and name.endswith("weight"):
                parameter.add_(1)
            if name.endswith("embed.weight"):
                parameter.mul_(4)


def gpt(model: str = "OpenAIGPTModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.18, edit=sharpen)


VARIANTS = {
    "decoder": gpt(),
    "another activation": gpt(afn="swish", layer_norm_epsilon=1e-3),
    "one wide head": gpt(n_head=1, n_layer=2),
    "with a head": gpt("OpenAIGPTLMHeadModel", afn="relu"),
    "with a head of its own": gpt("OpenAIGPTLMHeadModel", tie_word_embeddings=False),
}
