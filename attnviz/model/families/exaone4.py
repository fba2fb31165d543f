"""EXAONE 4 (LG AI Research 2025): norms behind attention and MLP; layers that see all have no rotary positions where
others have windows.
"""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import BranchNorm, Embedding, GatedMLP, Head, LayerSpec, QKNorm, RMSNorm, Spec
from attnviz.model.families import QK_NORM_NAMES, grouped_attention, names_without
from attnviz.model.families.olmo2 import NAMES as OLMO2_NAMES

PREFIX = "model."

NAMES = {**names_without(OLMO2_NAMES, "proj.bias"), **QK_NORM_NAMES}


def spec(config: Config) -> Spec:
    """The facts of an EXAONE 4; absent attributes have the values of transformers' ``Exaone4Config``."""
    config.decoder()
    width = config.size("hidden_size", 4096)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    attention = grouped_attention(config, width, 32, 32, bias=False, qk_norm=QKNorm(norm))
    mlp = GatedMLP(config.size("intermediate_size", 16384), config.activation("hidden_act", "silu"))
    window, every = config.optional("sliding_window", 4096), config.get("sliding_window_pattern", 4)
    count = config.size("num_hidden_layers", 32)
    kinds = ["full_attention" if window is None or not _slides(every, i) else "sliding_attention" for i in range(count)]
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 102400)),
        layers=tuple(
            LayerSpec(
                replace(attention, window=each, position=None if window and each == CAUSAL else attention.position),
                mlp,
                BranchNorm(norm),
            )
            for each in config.layer_windows(window, kinds)
        ),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )


def _slides(pattern: int | str, layer: int) -> bool:
    """Whether a layer has a window: ``LLLG``, or 4, is three with one and one without."""
    return pattern[layer % len(pattern)] == "L" if isinstance(pattern, str) else bool((layer + 1) % pattern)
