"""Helium (Kyutai 2025): a Llama with interleaved rotary positions, whose output projection has no bias."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import decoder_spec, grouped_attention, names_without
from attnviz.model.families.llama import NAMES as LLAMA_NAMES

PREFIX = "model."

NAMES = names_without(LLAMA_NAMES, "o_proj.bias")


def spec(config: Config) -> Spec:
    """The facts of a Helium; absent attributes have the values of transformers' ``HeliumConfig``."""
    config.decoder()
    width = config.size("hidden_size", 2560)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-8), once=True)
    layer = LayerSpec(
        attention=replace(
            grouped_attention(config, width, 20, 20, size=128, theta=100_000.0, longest=4096, interleaved=True),
            output_bias=False,
        ),
        mlp=GatedMLP(
            config.size("intermediate_size", 7040), config.activation("hidden_act", "silu"), config.flag("mlp_bias")
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=48000, layers=24)
