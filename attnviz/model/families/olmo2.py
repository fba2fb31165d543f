"""OLMo 2 (OLMo Team 2025): norms behind attention and MLP, and over all queries and all keys."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import BranchNorm, GatedMLP, LayerSpec, QKNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, decoder_spec, grouped_attention, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "input_layernorm"),
    **QK_NORM_NAMES,
    "layers.{}.post_attention_layernorm.weight": "layers.{}.attention.norm.weight",
    "layers.{}.post_feedforward_layernorm.weight": "layers.{}.mlp.norm.weight",
}


def spec(config: Config) -> Spec:
    """The facts of an OLMo 2; absent attributes have the values of transformers' ``Olmo2Config``."""
    config.decoder()
    width = config.size("hidden_size", 4096)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5), once=True)
    layer = LayerSpec(
        attention=grouped_attention(config, width, 32, qk_norm=QKNorm(norm, over="width")),
        mlp=GatedMLP(config.size("intermediate_size", 11008), config.activation("hidden_act", "silu")),
        norms=BranchNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=50304, layers=32)
