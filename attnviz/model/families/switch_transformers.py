"""Switch Transformers (Fedus et al. 2022): a T5 with experts in some layers, which read a limited number of tokens."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import MLP, Experts, Spec
from attnviz.model.families import Names, names_without, t5

PREFIX = t5.PREFIX
DEFAULTS = {
    "switch_transformers": {"d_model": 768, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12},
}

NAMES: Names = {
    **{theirs.replace("DenseReluDense", "mlp"): our for theirs, our in names_without(t5.NAMES, "wi_").items()},
    **{
        f"{stack}.block.{{}}.layer.{layer}.mlp.{theirs}": f"{ours}layers.{{}}.mlp.{our}"
        for stack, ours, layer in (("encoder", "encoder.", 1), ("decoder", "", 2))
        for theirs, our in {
            "router.classifier.weight": "router.weight",
            "router.classifier.bias": "router.bias",
            "experts.expert_{}.wi.weight": "experts.up.weight",
            "experts.expert_{}.wo.weight": "experts.down.weight",
        }.items()
    },
}


def spec(config: Config) -> Spec:
    """The facts of a Switch Transformer; absent attributes have the values of transformers' own config."""
    found = t5.spec(config)
    config.expect("add_cross_attention", False)
    config.ignore(
        "router_z_loss_coef", "router_jitter_noise", "add_router_probs", "router_dtype",
        "router_ignore_padding_tokens", "encoder_sparse_step", "decoder_sparse_step",
    )  # fmt: skip
    mlp = found.layers[0].mlp
    experts = Experts(
        MLP(mlp.size, config.activation("dense_act_fn", "relu"), bias=False),
        config.size("num_experts", 8),
        chosen=1,
        shares="all",
        bias=config.flag("router_bias"),
        capacity=config.size("expert_capacity", 64),
    )
    sparse = {name: config.count(f"num_sparse_{name}_layers", 3) for name in ("encoder", "decoder")}
    if found.encoder is None:
        return _with_experts(found, experts, sparse["encoder"])
    encoder = _with_experts(found.encoder, experts, sparse["encoder"])
    return replace(_with_experts(found, experts, sparse["decoder"]), encoder=encoder)


def _with_experts(stack: Spec, experts: Experts, sparse: int) -> Spec:
    """The ``stack`` with experts in about so many layers; in which ones is as in transformers, for any numbers."""
    step = len(stack.layers) // sparse if sparse else len(stack.layers)
    layers = (
        replace(layer, mlp=experts) if step and (step == 1 or i % step == 1) else layer
        for i, layer in enumerate(stack.layers)
    )
    return replace(stack, layers=tuple(layers))
