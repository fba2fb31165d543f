"""Hunyuan MoE (Tencent 2025): a Hunyuan with a choice of experts beside an MLP that reads all tokens."""

from __future__ import annotations

from dataclasses import replace

from attnviz.errors import UnsupportedModel, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Experts, GatedMLP, Spec
from attnviz.model.families import expert_names, hunyuan_v1_dense, names_without

PREFIX = "model."
ATTRIBUTES = {"num_experts_per_tok": "moe_topk", "num_local_experts": "num_experts"}

NAMES = {
    **names_without(hunyuan_v1_dense.NAMES, "mlp."),
    **expert_names("layers.{}.mlp", "gate.wg"),
    "layers.{}.mlp.shared_mlp.gate_proj.weight": "layers.{}.mlp.shared.gate.weight",
    "layers.{}.mlp.shared_mlp.up_proj.weight": "layers.{}.mlp.shared.up.weight",
    "layers.{}.mlp.shared_mlp.down_proj.weight": "layers.{}.mlp.shared.down.weight",
}

DEFAULTS = {"hunyuan_v1_moe": {"vocab_size": 290943, "rms_norm_eps": 1e-5}}


def spec(config: Config) -> Spec:
    """The facts of a Hunyuan MoE; absent attributes have the values of transformers' ``HunYuanMoEV1Config``."""
    config.ignore("use_mla")  # transformers does not use it
    config.only("moe_layer_num_skipped", 0)
    config.only("use_mixed_mlp_moe", True)
    found = hunyuan_v1_dense.hunyuan_spec(config)
    for name in ("moe_intermediate_size", "num_shared_expert"):
        _same(config, name, found.layers[0].mlp.size if "size" in name else 1)
    count, chosen = _same(config, "num_experts", 1), _same(config, "moe_topk", 1)
    expert = GatedMLP(found.layers[0].mlp.size, config.activation("hidden_act", "silu"))
    experts = Experts(expert, count, chosen, shares="chosen", shared=expert)
    return found.with_layers(lambda layer: replace(layer, mlp=experts))


def _same(config: Config, name: str, default: int) -> int:
    """A number that a config may give once for each layer, if they are all alike."""
    said = config.get(name, default)
    each = set(said) if isinstance(said, list) else {said}
    if len(each) > 1 or not all(isinstance(one, int) and one > 0 for one in each):
        raise UnsupportedModel(f"config.json: {name} is {short(said)}; our forward pass knows one for all layers")
    return int(each.pop())
