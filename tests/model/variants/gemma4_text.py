from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from tests.model.variants import VOCABULARY, Variant
from tests.model.variants.larger import larger
from tests.model.variants.llama import SHAPE

NEAR, FAR = "sliding_attention", "full_attention"
EXPERTS = {"enable_moe_block": True, "num_experts": 5, "top_k_experts": 2, "moe_intermediate_size": 20}


def scale_layers(model: torch.nn.Module) -> None:
    """Let each layer multiply what leaves it by a number of its own, and queries be shorter: scores are not scaled."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("q_norm.weight"):
                parameter *= 0.5
        for i, (_, scale) in enumerate(each for each in model.named_buffers() if each[0].endswith("layer_scalar")):
            scale.fill_(0.6 + 0.25 * i)


def gemma4(model: str = "Gemma4TextModel", **config: Any) -> Variant:
    shape = {
        "head_dim": 8,
        "global_head_dim": 16,
        "sliding_window": 6,
        "layer_types": [NEAR, FAR, NEAR, NEAR, FAR],
        "num_kv_shared_layers": 2,
        "hidden_size_per_layer_input": 6,
        "vocab_size_per_layer_input": VOCABULARY,
    }
    config = SHAPE | shape | config
    return Variant(model, config | {"num_hidden_layers": len(config["layer_types"])}, scale=0.2, edit=scale_layers)


def unified(model: str = "Gemma4UnifiedTextModel", **config: Any) -> Variant:
    made = gemma4(model, **config)
    beside = ("hidden_size_per_layer_input", "vocab_size_per_layer_input")
    return replace(made, config={name: value for name, value in made.config.items() if name not in beside})


VARIANTS = {
    "keys of earlier layers, numbers for each layer": gemma4(),
    "no keys of earlier layers": gemma4(num_kv_shared_layers=0),
    "nothing for each layer": gemma4(hidden_size_per_layer_input=0),
    "keys as values, fewer of them in layers that see all": gemma4(attention_k_eq_v=True, num_global_key_value_heads=1),
    "keys as values, as many key heads": gemma4(attention_k_eq_v=True, num_key_value_heads=4),
    "experts beside the MLP": gemma4(**EXPERTS),
    "experts, and nothing for each layer": gemma4(**EXPERTS, hidden_size_per_layer_input=0, num_kv_shared_layers=0),
    "MLPs twice as wide, one key head": gemma4(use_double_wide_mlp=True, num_key_value_heads=1, num_kv_shared_layers=3),
    "windows in most layers": gemma4(layer_types=[NEAR, FAR, NEAR, NEAR, NEAR, NEAR]),
    "biases, another activation": gemma4(attention_bias=True, hidden_activation="silu"),
    "more numbers than tokens": gemma4(vocab_size_per_layer_input=VOCABULARY + 7),
    "rotary bases, said": gemma4(
        rope_parameters={
            FAR: {"rope_type": "proportional", "partial_rotary_factor": 0.5, "rope_theta": 200.0, "factor": 2.0},
            NEAR: {"rope_type": "linear", "rope_theta": 20.0, "factor": 3.0},
        }
    ),
    "with a tied head": gemma4("Gemma4ForCausalLM", final_logit_softcapping=30.0),
    "with a head": gemma4("Gemma4ForCausalLM", tie_word_embeddings=False),
    "the text of a Gemma 4": larger("Gemma4Model", "gemma4_text", gemma4(), "gemma4_vision"),
    "unified": unified(use_bidirectional_attention="vision"),
}
