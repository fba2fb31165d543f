"""GLM-4 of 2025 (GLM Team 2025): a GLM with norms also behind attention and MLP."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import SandwichNorm, Spec
from attnviz.model.families import glm

PREFIX = "model."

NAMES = {
    **glm.NAMES,
    "layers.{}.post_self_attn_layernorm.weight": "layers.{}.attention.norm_after.weight",
    "layers.{}.post_mlp_layernorm.weight": "layers.{}.mlp.norm_after.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a GLM-4; absent attributes have the values of transformers' ``Glm4Config``."""
    return sandwiched(glm.spec(config))


def sandwiched(found: Spec) -> Spec:
    """A GLM with norms also behind attention and MLP."""
    norm = SandwichNorm(found.layers[0].norms.norm)
    return found.with_layers(lambda layer: replace(layer, norms=norm))
