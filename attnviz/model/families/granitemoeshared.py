"""Granite MoE with a shared expert (Granite Team 2024), which reads every token beside the others."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, LayerSpec, Spec
from attnviz.model.families import granitemoe
from attnviz.model.families.granitemoe import PREFIX

__all__ = ["PREFIX"]

NAMES = {
    **granitemoe.NAMES,
    "layers.{}.shared_mlp.input_linear.weight": "layers.{}.mlp.shared.gate_up.weight",
    "layers.{}.shared_mlp.output_linear.weight": "layers.{}.mlp.shared.down.weight",
}


def spec(config: Config) -> Spec:
    """The facts of such a Granite MoE; absent attributes have the values of ``GraniteMoeSharedConfig``."""
    size, activation = config.count("shared_intermediate_size", 0), config.activation("hidden_act", "silu")
    shared = GatedMLP(size, activation) if size else None

    def change(layer: LayerSpec) -> LayerSpec:
        return replace(layer, mlp=replace(layer.mlp, shared=shared)) if isinstance(layer.mlp, Experts) else layer

    return granitemoe.spec(config).with_layers(change)
