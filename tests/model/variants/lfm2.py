from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE

CONVOLVED: dict[str, Any] = {
    "num_hidden_layers": 4,
    "block_multiple_of": 8,
    "layer_types": ["conv", "full_attention"] * 2,
}


def sharpen(model: torch.nn.Module) -> None:
    """Enlarge the weights of the norms of queries: normed queries and keys are short. Correct the choice of experts."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "q_layernorm" in name:
                parameter.mul_(2)
        for name, buffer in model.named_buffers():
            if name.endswith("expert_bias"):
                buffer.copy_(torch.linspace(-0.2, 0.3, len(buffer)))


def lfm2(model: str = "Lfm2Model", **config: Any) -> Variant:
    return Variant(model, SHAPE | CONVOLVED | config, edit=sharpen)


VARIANTS = {
    "every other layer attends": lfm2(),
    "one layer attends, over five tokens": lfm2(
        layer_types=["conv", "conv", "full_attention", "conv"], conv_L_cache=5, num_key_value_heads=1
    ),
    "biases": lfm2(conv_bias=True, layer_types=["full_attention", "conv"] * 2),
    "units as they are, as many key heads": lfm2(block_auto_adjust_ff_dim=False, num_key_value_heads=4),
    "larger MLPs in blocks": lfm2(block_ffn_dim_multiplier=1.3, block_multiple_of=16),
    "all layers attend": lfm2(layer_types=["full_attention"] * 4),
    "with a head": lfm2("Lfm2ForCausalLM", tie_word_embeddings=False),
    "with a tied head": lfm2("Lfm2ForCausalLM"),
}
