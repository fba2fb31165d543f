from __future__ import annotations

from functools import partial
from typing import Any

import torch
from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {"vocab_size": VOCABULARY, "d_model": 32, "n_layers": 3, "n_heads": 4, "max_seq_len": 40}


def mpt(model: str = "MptModel", attention: dict[str, Any] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | {"attn_config": attention or {}} | config, scale=0.4, edit=steepen)


def steepen(model: torch.nn.Module) -> None:
    """transformers builds ALiBi without the ``alibi_bias_max`` of the config, with which the models were trained."""
    steepest = model.config.attn_config.alibi_bias_max
    for part in model.modules():
        if hasattr(part, "build_mpt_alibi_tensor"):
            part.build_mpt_alibi_tensor = partial(build_mpt_alibi_tensor, alibi_bias_max=steepest)


VARIANTS = {
    "ALiBi": mpt(),
    "ALiBi, heads no power of two": mpt(n_heads=6, d_model=36),
    "steeper ALiBi, bounded projections (StoryWriter)": mpt(attention={"alibi_bias_max": 16, "clip_qkv": 2.5}),
    "steeper ALiBi, heads no power of two": mpt(attention={"alibi_bias_max": 16}, n_heads=6, d_model=36),
    "another scale": mpt(attention={"softmax_scale": 0.2}),
    "with a head": mpt("MptForCausalLM"),
}
