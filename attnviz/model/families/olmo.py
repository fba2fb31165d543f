"""OLMo (Groeneveld et al. 2024): a Llama whose norms have no weights, with bounded queries, keys and values."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, LayerNorm, LayerSpec, PreNorm, Spec
from attnviz.model.families import DECODER_NAMES, decoder_spec, grouped_attention, names_without

PREFIX = "model."

NAMES = names_without(DECODER_NAMES, "norm")


def spec(config: Config) -> Spec:
    """The facts of an OLMo; absent attributes have the values of transformers' ``OlmoConfig``."""
    config.decoder()
    width = config.size("hidden_size", 4096)
    norm = LayerNorm(1e-5, bias=False, weight=False)
    layer = LayerSpec(
        attention=replace(grouped_attention(config, width, 32), clip=config.optional_number("clip_qkv")),
        mlp=GatedMLP(config.size("intermediate_size", 11008), config.activation("hidden_act", "silu")),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=50304, layers=32)
