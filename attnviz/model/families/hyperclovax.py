"""HyperCLOVA X SEED (NAVER Cloud 2025): a Granite with norms also behind attention and MLP."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import SandwichNorm, Spec
from attnviz.model.families import granite

PREFIX = "model."

NAMES = {
    **granite.NAMES,
    "layers.{}.post_norm1.weight": "layers.{}.attention.norm_after.weight",
    "layers.{}.post_norm2.weight": "layers.{}.mlp.norm_after.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a HyperCLOVA X; absent attributes have the values of transformers' ``HyperCLOVAXConfig``."""
    found = granite.spec(config)
    first = found.layers[0]
    scale = config.optional_number("attention_multiplier")
    attention = replace(found.first, scale=found.first.head_size**-0.5 if scale is None else scale)
    norms = SandwichNorm(first.norms.norm) if config.flag("use_post_norm", True) else first.norms
    found = found.with_layers(lambda layer: replace(layer, attention=attention, norms=norms))
    # Scores are multiplied by what a Granite divides them by.
    return replace(found, head=replace(found.head, scale=config.number("logits_scaling", 1.0)) if found.head else None)
