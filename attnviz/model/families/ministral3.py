"""Ministral 3 (Mistral AI 2025): a Mistral whose queries grow with their position."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary, temperature
from attnviz.model.architecture.spec import Spec
from attnviz.model.families.llama import NAMES, PREFIX, llama_spec

__all__ = ["NAMES", "PREFIX"]

DEFAULTS = {
    "ministral3": {
        "vocab_size": 131072, "intermediate_size": 14336, "num_hidden_layers": 34, "num_key_value_heads": 8,
        "head_dim": 128, "max_position_embeddings": 262144, "rms_norm_eps": 1e-5, "use_sliding_window": True,
        "rope_parameters": {
            "rope_type": "yarn", "rope_theta": 1e6, "factor": 16.0, "original_max_position_embeddings": 16384,
            "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
        },
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Ministral 3."""
    found = llama_spec(config, partial(rotary, beside=("llama_4_scaling_beta", "max_position_embeddings")))
    sharper = temperature(config)
    return found.with_attentions(lambda attention: replace(attention, temperature=sharper))
