"""Qwen3 (Yang et al. 2025): a Llama with queries and keys normed in each head and windows in the upper layers."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, GatedMLP, Head, LayerSpec, PreNorm, QKNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, grouped_attention

PREFIX = "model."

NAMES = {**DECODER_NAMES, **QK_NORM_NAMES}

DEFAULTS = {"qwen3_vl_text": {"max_position_embeddings": 128000, "rope_theta": 500_000.0}}


def spec(config: Config) -> Spec:
    """The facts of a Qwen3; absent attributes have the values of transformers' ``Qwen3Config``."""
    config.decoder()
    width = config.size("hidden_size", 4096)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6))
    attention = grouped_attention(config, width, 32, 32, size=128, qk_norm=QKNorm(norm), longest=32768)
    mlp = GatedMLP(config.size("intermediate_size", 22016), config.activation("hidden_act", "silu"))
    layer_windows = config.upper_windows(config.size("num_hidden_layers", 32))
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 151936)),
        layers=tuple(LayerSpec(replace(attention, window=window), mlp, PreNorm(norm)) for window in layer_windows),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )
