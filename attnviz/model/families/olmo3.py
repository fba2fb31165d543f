"""OLMo 3 (Team Olmo 2025): OLMo 2 with windows; every fourth layer sees all, with scaled rotary positions."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    BranchNorm,
    Embedding,
    GatedMLP,
    Head,
    LayerSpec,
    QKNorm,
    RMSNorm,
    Spec,
)
from attnviz.model.families.olmo2 import NAMES, PREFIX

__all__ = ["NAMES", "PREFIX", "spec"]


def spec(config: Config) -> Spec:
    """The facts of an OLMo 3; absent attributes have the values of transformers' ``Olmo3Config``."""
    config.decoder()
    heads, width = config.size("num_attention_heads", 32), config.size("hidden_size", 4096)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5), once=True)
    attention = AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads),
        head_size=size,
        scale=size**-0.5,
        window=CAUSAL,
        bias=bias,
        output_bias=bias,
        qk_norm=QKNorm(norm, over="width"),
    )
    mlp = GatedMLP(config.size("intermediate_size", 11008), config.activation("hidden_act", "silu"))
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 50304)),
        layers=tuple(LayerSpec(each, mlp, BranchNorm(norm)) for each in _attentions(config, attention)),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )


def _attentions(config: Config, attention: AttentionSpec) -> list[AttentionSpec]:
    """The attention of each layer: three have a window, the fourth sees all."""
    theta = 500_000.0
    config.expect("rope_theta", theta)  # transformers gives another one to the layers that see all, and to no other
    layer_windows = config.windows_by_pattern(config.size("num_hidden_layers", 32), 4)
    far = rotary(config, attention.head_size, theta=theta, kind="full_attention")
    near = rotary(config, attention.head_size, theta=theta, kind="sliding_attention", scaled=False)
    return [replace(attention, window=window, position=far if window == CAUSAL else near) for window in layer_windows]
