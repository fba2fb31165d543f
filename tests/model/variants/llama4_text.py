from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE

LLAMA4 = SHAPE | {
    "head_dim": 8,
    "intermediate_size": 24,
    "intermediate_size_mlp": 48,
    "num_hidden_layers": 4,
    "num_local_experts": 4,
    "attention_chunk_size": 7,
    "floor_scale": 5,
    "attn_scale": 0.6,
}


def soften(model: torch.nn.Module) -> None:
    """Make queries shorter in the layer without positions, which sees all."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".3.self_attn.q_proj" in name:
                parameter.mul_(0.5)


def llama4(model: str = "Llama4TextModel", **config: Any) -> Variant:
    return Variant(model, LLAMA4 | config, edit=soften)


VARIANTS = {
    "chunks in most layers, no temperature": llama4(attn_temperature_tuning=False),
    "queries of any length, one key head": llama4(use_qk_norm=False, num_key_value_heads=1),
    "two experts for each token": llama4(num_experts_per_tok=2),
    "every other layer without experts": llama4(interleave_moe_layer_step=2),
    "one layer with experts, biases": llama4(moe_layers=[1], attention_bias=True),
    "positions in some layers, chunks in others": llama4(
        no_rope_layers=[0, 1, 1, 0], layer_types=["chunked_attention", "full_attention"] * 2
    ),
    "with a head": llama4("Llama4ForCausalLM"),
    "with a tied head": llama4("Llama4ForCausalLM", tie_word_embeddings=True),
}
