"""GLM-4 (GLM Team 2024): a Llama with fused gates, biases on queries, keys and values, and interleaved rotary positions
in half of each head.
"""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import AttentionSpec, GatedMLP, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, decoder_spec, grouped_attention, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "o_proj.bias", "gate_proj", "up_proj"),
    "layers.{}.mlp.gate_up_proj.weight": "layers.{}.mlp.gate_up.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a GLM; absent attributes have the values of transformers' ``GlmConfig``."""
    bias = config.flag("attention_bias", default=True)
    attention = grouped_attention(
        config, 4096, 32, 2, size=128, bias=bias, partial=0.5, longest=131072, interleaved=True
    )
    return glm_spec(config, replace(attention, output_bias=False))


def glm_spec(config: Config, attention: AttentionSpec, eps: float = 1.5625e-7) -> Spec:
    """The facts of a GLM with this ``attention``; ``eps`` is what a config that is silent means."""
    config.decoder()
    layer = LayerSpec(
        attention=attention,
        mlp=GatedMLP(config.size("intermediate_size", 13696), config.activation("hidden_act", "silu")),
        norms=PreNorm(RMSNorm(config.number("rms_norm_eps", eps))),
    )
    return decoder_spec(config, config.size("hidden_size", 4096), layer, vocabulary=151552, layers=40)
