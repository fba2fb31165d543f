"""VaultGemma (Sinha et al. 2025): a Gemma 2 with pre-norms alone."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import PreNorm, Spec
from attnviz.model.families import DECODER_NAMES, gemma2, names_without
from attnviz.model.families.gemma2 import PREFIX

__all__ = ["PREFIX"]

NAMES = {
    **names_without(DECODER_NAMES, "post_attention_layernorm"),
    "layers.{}.pre_feedforward_layernorm.weight": "layers.{}.mlp.norm.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a VaultGemma; absent attributes have the values of transformers' ``VaultGemmaConfig``."""
    return gemma2.spec(config).with_layers(lambda layer: replace(layer, norms=PreNorm(layer.norms.norm)))
