"""Arcee's foundation model (Arcee AI 2025): a Llama whose MLP has no gate, and a squared ReLU."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import MLP, AttentionSpec, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import decoder_spec, names_without
from attnviz.model.families.llama import NAMES as LLAMA_NAMES

PREFIX = "model."

NAMES = names_without(LLAMA_NAMES, "gate_proj")


def spec(config: Config) -> Spec:
    """The facts of an Arcee; absent attributes have the values of transformers' ``ArceeConfig``."""
    config.decoder()
    heads, width = config.size("num_attention_heads", 32), config.size("hidden_size", 2560)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, longest=4096),
            bias=bias,
            output_bias=bias,
        ),
        mlp=MLP(
            config.size("intermediate_size", 18432), config.activation("hidden_act", "relu2"), config.flag("mlp_bias")
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=32000, layers=32)
