"""Jais 2 (Inception 2025): a Llama with LayerNorms, biases everywhere, no gate in its MLP, and a squared ReLU."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import MLP, LayerNorm, PreNorm, Spec
from attnviz.model.families.llama import llama_spec
from attnviz.model.families.nemotron import NAMES, PREFIX

__all__ = ["NAMES", "PREFIX"]

DEFAULTS = {
    "jais2": {
        "vocab_size": 150272, "hidden_size": 3328, "intermediate_size": 26624, "num_attention_heads": 26,
        "max_position_embeddings": 8192, "hidden_act": "relu2", "attention_bias": True, "mlp_bias": True,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Jais 2."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5))
    mlp = MLP(config.size("intermediate_size"), config.activation("hidden_act", "relu2"), config.flag("mlp_bias"))
    found = llama_spec(config).with_layers(lambda layer: replace(layer, mlp=mlp, norms=PreNorm(norm)))
    return replace(found, final_norm=norm)
