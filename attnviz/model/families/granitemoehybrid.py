"""Granite 4 (IBM 2025) where all layers attend: a Granite MoE with a shared expert, or with nothing but that."""

from __future__ import annotations

from dataclasses import replace

from attnviz.errors import UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, Spec
from attnviz.model.families import granite, granitemoeshared
from attnviz.model.families.granitemoe import PREFIX

__all__ = ["PREFIX"]

ATTRIBUTES = {"layers_block_type": "layer_types"}

NAMES = {
    **granitemoeshared.NAMES,
    # Without other experts it is the MLP.
    "layers.{}.shared_mlp.input_linear.weight": (
        "layers.{}.mlp.shared.gate_up.weight",
        "layers.{}.mlp.gate_up.weight",
    ),
    "layers.{}.shared_mlp.output_linear.weight": ("layers.{}.mlp.shared.down.weight", "layers.{}.mlp.down.weight"),
}

DEFAULTS = {"granitemoehybrid": {"shared_intermediate_size": 1024}}


def spec(config: Config) -> Spec:
    """The facts of a Granite 4; absent attributes have the values of ``GraniteMoeHybridConfig``."""
    config.ignore(
        "mamba_chunk_size", "mamba_conv_bias", "mamba_d_conv", "mamba_d_head", "mamba_d_state", "mamba_expand",
        "mamba_n_groups", "mamba_n_heads", "mamba_proj_bias", "time_step_limit",
        "normalization_function", "init_method", "embedding_pdrop", "resid_pdrop", "attention_pdrop",
    )  # fmt: skip
    count = config.size("num_hidden_layers", 32)
    kinds = config.each("layer_types", ["linear_attention"] * count)
    if others := sorted({str(kind) for kind in kinds} - {"full_attention", "attention"}):
        raise UnsupportedModel(
            f"config.json: layer_types has {', '.join(others)}; our forward pass knows layers that attend alone"
        )
    if config.count("num_local_experts", 8):
        found = granitemoeshared.spec(config)
    else:
        config.ignore("num_experts_per_tok", "intermediate_size")
        config.only("mlp_bias", False)
        mlp = GatedMLP(config.size("shared_intermediate_size"), config.activation("hidden_act", "silu"))
        found = granite.spec(config).with_layers(lambda layer: replace(layer, mlp=mlp))
    if config.expect("position_embedding_type", None, "nope", "rope") == "rope":
        return found
    return found.with_attentions(lambda attention: replace(attention, position=None))
