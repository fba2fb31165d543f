from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import IDS, Variant
from tests.model.variants.llama import SHAPE
from tests.model.variants.qwen2_moe import EXPERTS

DELTA: dict[str, Any] = {
    "head_dim": 8,
    "rms_norm_eps": 1e-3,
    "num_hidden_layers": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 12,
}


def centre(model: torch.nn.Module) -> None:
    """Centre the weights of norms on zero, to which these norms add one; those of queries stay larger. States decay
    slowly, so that they reach over chunks.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("A_log"):
                parameter.sub_(3)
            if "norm" in name and "linear_attn" not in name and "q_norm" not in name:
                parameter.sub_(1)


LINEAR, FULL = "linear_attention", "full_attention"
LONG = tuple(IDS[i % len(IDS)] for i in range(130))
"""More tokens than two chunks of the delta rule."""


def qwen3_next(model: str = "Qwen3NextModel", ids: Any = IDS, **config: Any) -> Variant:
    return Variant(model, SHAPE | DELTA | EXPERTS | config, ids=ids, edit=centre)


VARIANTS = {
    "every other layer attends": qwen3_next(layer_types=[LINEAR, FULL] * 2),
    "one layer of four attends": qwen3_next(),
    "every other layer attends, first": qwen3_next(layer_types=[FULL, LINEAR, FULL, LINEAR]),
    "as many heads of keys as of values, over two tokens": qwen3_next(
        linear_num_key_heads=4, linear_conv_kernel_dim=2, layer_types=[LINEAR, FULL] * 2
    ),
    "biases, all of a head turns": qwen3_next(
        attention_bias=True, partial_rotary_factor=1.0, num_key_value_heads=1, layer_types=[LINEAR, FULL, FULL, LINEAR]
    ),
    "shares of all experts, some layers without": qwen3_next(norm_topk_prob=False, mlp_only_layers=[1]),
    "63 tokens": qwen3_next(ids=LONG[:63], num_hidden_layers=2, full_attention_interval=2),
    "64 tokens": qwen3_next(ids=LONG[:64], num_hidden_layers=2, full_attention_interval=2),
    "65 tokens": qwen3_next(ids=LONG[:65], num_hidden_layers=2, full_attention_interval=2),
    "130 tokens": qwen3_next(ids=LONG, num_hidden_layers=2, full_attention_interval=2),
    "with a head": qwen3_next("Qwen3NextForCausalLM"),
    "with a tied head": qwen3_next("Qwen3NextForCausalLM", tie_word_embeddings=True),
}
