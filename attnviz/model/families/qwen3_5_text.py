"""Qwen3.5 (Qwen Team 2026): a Qwen3-Next with one MLP in the place of experts."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, Spec
from attnviz.model.families import names_without
from attnviz.model.families.qwen3_next import DELTA_NAMES, delta_spec

PREFIX = "model."

PLAIN_NAMES = {
    **DELTA_NAMES,
    "layers.{}.linear_attn.in_proj_qkv.weight": "layers.{}.mixer.qkv.weight",
    "layers.{}.linear_attn.in_proj_z.weight": "layers.{}.mixer.gate.weight",
    "layers.{}.linear_attn.in_proj_b.weight": "layers.{}.mixer.rate.weight",
    "layers.{}.linear_attn.in_proj_a.weight": "layers.{}.mixer.decay.weight",
}
"""The names with those of experts."""

NAMES = names_without(PLAIN_NAMES, ".mlp.experts", ".mlp.shared", ".mlp.gate.")


def spec(config: Config) -> Spec:
    """The facts of a Qwen3.5; absent attributes have the values of transformers' ``Qwen3_5TextConfig``."""
    config.ignore("mlp_only_layers")
    mlp = GatedMLP(config.size("intermediate_size", 12288), config.activation("hidden_act", "silu"))
    mlps = [mlp] * config.size("num_hidden_layers", 32)
    return delta_spec(config, mlps, width=4096, vocabulary=248320, groups=4)
