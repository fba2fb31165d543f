"""Qwen3.5 MoE (Qwen Team 2026): a Qwen3.5 with a choice of experts, and one that reads all tokens, for MLPs."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import names_without
from attnviz.model.families.qwen3_5_text import PLAIN_NAMES
from attnviz.model.families.qwen3_next import chosen_experts, delta_spec

PREFIX = "model."

NAMES = names_without(PLAIN_NAMES, ".mlp.gate_proj", ".mlp.up_proj", ".mlp.down_proj")


def spec(config: Config) -> Spec:
    """The facts of a Qwen3.5 MoE; absent attributes have the values of transformers' ``Qwen3_5MoeTextConfig``."""
    config.ignore("mlp_only_layers", "intermediate_size")
    mlps = [chosen_experts(config, 256, 8)] * config.size("num_hidden_layers", 40)
    return delta_spec(config, mlps, width=2048, vocabulary=248320, groups=2)
