"""ERNIE 4.5 (Baidu 2025): a Llama with interleaved rotary positions."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import decoder_spec, grouped_attention
from attnviz.model.families.llama import NAMES as LLAMA_NAMES

PREFIX = "model."

NAMES = LLAMA_NAMES


def spec(config: Config) -> Spec:
    """The facts of an ERNIE 4.5; absent attributes have the values of transformers' ``Ernie4_5Config``."""
    return ernie_spec(config, size=128)


def ernie_spec(config: Config, size: int | None) -> Spec:
    """The facts of ERNIE's kin; ``size`` is that of a head where the config is silent, None as in a Llama."""
    config.decoder()
    width, bias = config.size("hidden_size", 1024), config.flag("use_bias")
    layer = LayerSpec(
        grouped_attention(
            config, width, 16, 2, size=size, bias=bias, theta=500_000.0, longest=131072, interleaved=True
        ),
        GatedMLP(config.size("intermediate_size", 3072), config.activation("hidden_act", "silu"), bias),
        PreNorm(RMSNorm(config.number("rms_norm_eps", 1e-5))),
    )
    return decoder_spec(config, width, layer, vocabulary=103424, layers=18, tied=True)
