"""Gemma 3 (Gemma Team 2025): a Gemma 2 with normed queries and keys and no soft caps; layers with a window have rotary
positions of their own.
"""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    GatedMLP,
    Head,
    LayerSpec,
    QKNorm,
    RMSNorm,
    SandwichNorm,
    Spec,
)
from attnviz.model.families import QK_NORM_NAMES
from attnviz.model.families.gemma2 import NAMES as GEMMA2_NAMES

PREFIX = "model."

NAMES = {**GEMMA2_NAMES, **QK_NORM_NAMES}


def spec(config: Config) -> Spec:
    """The facts of a Gemma 3; absent attributes have the values of transformers' ``Gemma3TextConfig``."""
    config.decoder()
    config.expect("use_bidirectional_attention", False)
    config.expect("attn_logit_softcapping", None)
    config.ignore("_sliding_window_pattern")  # it is only ever written
    heads, width = config.size("num_attention_heads", 8), config.size("hidden_size", 2304)
    bias = config.flag("attention_bias")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6), offset=1.0)
    attention = AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads, 4),
        head_size=config.size("head_dim", 256),
        scale=config.number("query_pre_attn_scalar", 256, above=0) ** -0.5,
        window=CAUSAL,
        bias=bias,
        output_bias=bias,
        qk_norm=QKNorm(norm),
    )
    mlp = GatedMLP(config.size("intermediate_size", 9216), config.activation("hidden_activation", "gelu_pytorch_tanh"))
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 262208), scale=width**0.5),
        layers=tuple(LayerSpec(each, mlp, SandwichNorm(norm)) for each in _attentions(config, attention)),
        final_norm=norm,
        head=Head(
            tied=config.flag("tie_word_embeddings", default=True),
            softcap=config.optional_number("final_logit_softcapping"),
        ),
    )


def _attentions(config: Config, attention: AttentionSpec) -> list[AttentionSpec]:
    """The attention of each layer: most have a window and a small rotary base, every sixth sees all."""
    pattern = config.size("sliding_window_pattern", 6)
    layer_windows = config.windows_by_pattern(config.size("num_hidden_layers", 26), pattern)
    size, longest = attention.head_size, 131072
    far = rotary(config, size, theta=1e6, longest=longest, kind="full_attention")
    near = rotary(
        config,
        size,
        theta_name="rope_local_base_freq",
        longest=longest,
        kind="sliding_attention",
        scaled=False,
    )
    return [replace(attention, window=window, position=far if window == CAUSAL else near) for window in layer_windows]
