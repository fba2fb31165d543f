"""FlexOlmo (Shi et al. 2025): an OLMo 2 with a choice of experts in the place of each MLP."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, Spec
from attnviz.model.families import expert_names, names_without, olmo2

PREFIX = "model."
ATTRIBUTES = {"num_local_experts": "num_experts"}

NAMES = {**names_without(olmo2.NAMES, "mlp."), **expert_names("layers.{}.mlp")}

DEFAULTS = {
    "flex_olmo": {
        "vocab_size": 100352, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 500_000.0,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a FlexOlmo; absent attributes have the values of transformers' ``FlexOlmoConfig``."""
    found = olmo2.spec(config)
    experts = Experts(
        GatedMLP(found.layers[0].mlp.size, config.activation("hidden_act", "silu")),
        *config.experts("num_experts", 7, 5),
        shares="chosen" if config.flag("norm_topk_prob") else "all",
    )
    return found.with_layers(lambda layer: replace(layer, mlp=experts))
