"""Arcee's foundation model (Arcee AI 2025): a Llama whose MLP has no gate, and a squared ReLU."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import MLP, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import decoder_spec, grouped_attention, names_without
from attnviz.model.families.llama import NAMES as LLAMA_NAMES

PREFIX = "model."

NAMES = names_without(LLAMA_NAMES, "gate_proj")


def spec(config: Config) -> Spec:
    """The facts of an Arcee; absent attributes have the values of transformers' ``ArceeConfig``."""
    config.decoder()
    width = config.size("hidden_size", 2560)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    layer = LayerSpec(
        attention=grouped_attention(config, width, 32, longest=4096),
        mlp=MLP(
            config.size("intermediate_size", 18432), config.activation("hidden_act", "relu2"), config.flag("mlp_bias")
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=32000, layers=32)
