"""Code World Model (FAIR CodeGen team 2025): a Llama with windows; every fourth layer, from the first on, sees all."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import DECODER_NAMES
from attnviz.model.families.llama import PREFIX, llama_spec

__all__ = ["PREFIX"]

NAMES = DECODER_NAMES

DEFAULTS = {
    "cwm": {
        "vocab_size": 128256, "hidden_size": 6144, "intermediate_size": 21504, "num_hidden_layers": 64,
        "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5, "sliding_window": 8192, "use_sliding_window": True,
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 1e6, "factor": 16.0, "original_max_position_embeddings": 8192,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        },
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Code World Model."""
    config.only("attention_bias", False)
    config.only("mlp_bias", False)
    found = llama_spec(config)
    kinds = ["sliding_attention" if i % 4 else "full_attention" for i in range(len(found.layers))]
    return found.with_windows(config.layer_windows(config.optional("sliding_window", 8192), kinds))
