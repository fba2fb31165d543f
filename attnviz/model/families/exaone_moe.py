"""K-EXAONE (LG AI Research 2025): an EXAONE 4 with norms before its parts, and a DeepSeek-V3's choice of experts."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, PreNorm, Spec
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, exaone4, names_without
from attnviz.model.families.deepseek_v2 import typed_layers
from attnviz.model.families.deepseek_v3 import NAMES as DEEPSEEK_V3_NAMES
from attnviz.model.families.deepseek_v3 import corrected_experts

PREFIX = "model."
ATTRIBUTES = {"num_experts": "n_routed_experts", "num_shared_experts": "n_shared_experts"}

NAMES = {
    **names_without(DEEPSEEK_V3_NAMES, "self_attn"),
    **names_without(DECODER_NAMES, "proj.bias"),
    **QK_NORM_NAMES,
    "layers.{}.mlp.e_score_correction_bias": "layers.{}.mlp.correction",
}


def spec(config: Config) -> Spec:
    """The facts of a K-EXAONE; absent attributes have the values of transformers' ``ExaoneMoeConfig``."""
    config.ignore("is_moe_layer")
    found = exaone4.spec(config)
    norm, experts = PreNorm(found.layers[0].norms.norm), corrected_experts(config, 64, 1024, factor=2.5)
    dense = GatedMLP(found.layers[0].mlp.size, experts.expert.activation)
    first = config.count("first_k_dense_replace", 1)
    layers = tuple(
        replace(layer, norms=norm, mlp=dense if i < first else experts) for i, layer in enumerate(found.layers)
    )
    return typed_layers(config, replace(found, layers=layers), dense, experts)
