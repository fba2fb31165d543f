"""OLMoE (Muennighoff et al. 2024): a Llama with queries and keys normed over all heads and a choice of experts."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, LayerSpec, PreNorm, QKNorm, RMSNorm, Spec
from attnviz.model.families import (
    DECODER_NAMES,
    QK_NORM_NAMES,
    decoder_spec,
    expert_names,
    grouped_attention,
    names_without,
)

PREFIX = "model."
ATTRIBUTES = {"num_local_experts": "num_experts"}

NAMES = {**names_without(DECODER_NAMES, ".mlp."), **QK_NORM_NAMES, **expert_names("layers.{}.mlp")}


def spec(config: Config) -> Spec:
    """The facts of an OLMoE; absent attributes have the values of transformers' ``OlmoeConfig``."""
    config.decoder()
    width = config.size("hidden_size", 2048)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    layer = LayerSpec(
        attention=replace(
            grouped_attention(config, width, 16, qk_norm=QKNorm(norm, over="width"), longest=4096),
            clip=config.optional_number("clip_qkv"),
        ),
        mlp=Experts(
            GatedMLP(config.size("intermediate_size", 2048), config.activation("hidden_act", "silu")),
            *config.experts("num_experts", 64, 8),
            shares="chosen" if config.flag("norm_topk_prob") else "all",
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=50304, layers=16)
