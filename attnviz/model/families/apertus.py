"""Apertus (Swiss AI 2025): a Llama with queries and keys normed in each head, whose MLP has no gate, and an xIELU."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    MLP,
    XIELU,
    AttentionSpec,
    LayerSpec,
    PreNorm,
    QKNorm,
    RMSNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, decoder_spec, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "gate_proj", "layernorm"),
    **QK_NORM_NAMES,
    "layers.{}.attention_layernorm.weight": "layers.{}.attention.norm.weight",
    "layers.{}.feedforward_layernorm.weight": "layers.{}.mlp.norm.weight",
    "layers.{}.mlp.act_fn.alpha_p": "layers.{}.mlp.activation.positive",
    "layers.{}.mlp.act_fn.alpha_n": "layers.{}.mlp.activation.negative",
    "layers.{}.mlp.act_fn.beta": "layers.{}.mlp.activation.beta",
    "layers.{}.mlp.act_fn.eps": "layers.{}.mlp.activation.eps",
}

DEFAULTS = {
    "apertus": {
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 12e6, "factor": 8.0, "original_max_position_embeddings": 8192,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        },
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of an Apertus; absent attributes have the values of transformers' ``ApertusConfig``."""
    config.decoder()
    heads, width = config.size("num_attention_heads", 32), config.size("hidden_size", 4096)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    learned = config.get("hidden_act", "xielu") == "xielu"
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    for name, value in (("mlp_bias", False), ("post_norm", False), ("qk_norm", True)):
        config.only(name, value)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, theta=12e6, longest=65536),
            bias=bias,
            output_bias=bias,
            qk_norm=QKNorm(norm),
        ),
        mlp=MLP(
            config.size("intermediate_size", 14336),
            XIELU() if learned else config.activation("hidden_act", "xielu"),
            bias=False,
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=131072, layers=32)
