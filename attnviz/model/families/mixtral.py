"""Mixtral (Jiang et al. 2024): a Mistral with a choice of experts in the place of each MLP."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, decoder_spec, expert_names, grouped_attention, names_without

PREFIX = "model."
ATTRIBUTES = {"num_experts": "num_local_experts"}

NAMES = {
    **names_without(DECODER_NAMES, ".mlp.", "proj.bias"),
    **expert_names("layers.{}.block_sparse_moe", theirs=("w1", "w3", "w2")),
    **expert_names("layers.{}.mlp"),
}


def spec(config: Config) -> Spec:
    """The facts of a Mixtral; absent attributes have the values of transformers' ``MixtralConfig``."""
    config.decoder()
    config.ignore("router_jitter_noise")
    width = config.size("hidden_size", 4096)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    layer = LayerSpec(
        attention=replace(
            grouped_attention(config, width, 32, 8, bias=False, theta=1e6, longest=131072), window=config.window()
        ),
        mlp=Experts(
            GatedMLP(config.size("intermediate_size", 14336), config.activation("hidden_act", "silu")),
            *config.experts("num_local_experts", 8, 2),
            shares="chosen",
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=32000, layers=32)
