"""Qwen3-Next (Yang et al. 2025): of four layers three have a gated delta rule in the place of attention; the others
gate what their heads give, and turn a quarter of each. All have a choice of experts, and one that reads all tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from attnviz.attention.window import CAUSAL
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    Experts,
    GatedDelta,
    GatedMLP,
    Head,
    LayerSpec,
    PreNorm,
    QKNorm,
    RMSNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, both, names_without, qwen2_moe
from attnviz.model.families.qwen2_moe import sparse_layers

PREFIX = "model."

DELTA_NAMES = {
    **{theirs: our for theirs, our in qwen2_moe.NAMES.items() if ".mlp." in theirs},
    **names_without(DECODER_NAMES, "q_proj", ".mlp."),
    **QK_NORM_NAMES,
    **both("layers.{}.self_attn.q_proj", "layers.{}.attention.query_gate"),
    "layers.{}.linear_attn.conv1d.weight": "layers.{}.mixer.convolution.weight",
    "layers.{}.linear_attn.dt_bias": "layers.{}.mixer.decay.bias",
    "layers.{}.linear_attn.A_log": "layers.{}.mixer.decay.factor",
    "layers.{}.linear_attn.norm.weight": "layers.{}.mixer.norm.weight",
    "layers.{}.linear_attn.out_proj.weight": "layers.{}.mixer.output.weight",
}
"""The names that this family and Qwen3.5 have in common."""

NAMES = {
    **DELTA_NAMES,
    "layers.{}.linear_attn.in_proj_qkvz.weight": "layers.{}.mixer.query_key_value_gate.weight",
    "layers.{}.linear_attn.in_proj_ba.weight": "layers.{}.mixer.rate_decay.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a Qwen3-Next; absent attributes have the values of transformers' ``Qwen3NextConfig``."""
    experts = chosen_experts(config, 512, 10, normed=config.flag("norm_topk_prob", True))
    dense = GatedMLP(config.size("intermediate_size", 5632), config.activation("hidden_act", "silu"))
    count = config.size("num_hidden_layers", 48)
    mlps = [experts if sparse else dense for sparse in sparse_layers(config, count)]
    return delta_spec(config, mlps, width=2048, vocabulary=151936, groups=2)


def chosen_experts(config: Config, count: int, chosen: int, *, normed: bool = True) -> Experts:
    """The experts and the shared one; the numbers are defaults."""
    config.ignore("output_router_logits", "router_aux_loss_coef")
    activation = config.activation("hidden_act", "silu")
    return Experts(
        GatedMLP(config.size("moe_intermediate_size", 512), activation),
        *config.experts("num_experts", count, chosen),
        shares="chosen" if normed else "all",
        shared=GatedMLP(config.size("shared_expert_intermediate_size", 512), activation),
        gated=True,
    )


def delta_spec(config: Config, mlps: Sequence[GatedMLP | Experts], *, width: int, vocabulary: int, groups: int) -> Spec:
    """The facts of a decoder some of whose layers have a gated delta rule, with the MLP of each layer.

    ``width``, ``vocabulary`` and the number of ``groups`` of heads are what a config that is silent means.
    """
    config.decoder()
    config.only("attn_output_gate", True)
    config.ignore("mtp_num_hidden_layers", "mtp_use_dedicated_embeddings", "mamba_ssm_dtype")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6), offset=1.0)
    attention, delta = _attention(config, norm, groups), _delta(config)
    interval = config.size("full_attention_interval", 4)
    usual = ["linear_attention" if (i + 1) % interval else "full_attention" for i in range(len(mlps))]
    kinds = config.each("layer_types", usual)
    known: dict[str, AttentionSpec | GatedDelta] = {"full_attention": attention, "linear_attention": delta}
    if unknown := sorted({str(kind) for kind in kinds} - known.keys()):
        raise UnsupportedModel(
            f"config.json: layer_types has {', '.join(unknown)}; our forward pass knows {', '.join(known)}"
        )
    return Spec(
        width=config.size("hidden_size", width),
        embedding=Embedding(config.size("vocab_size", vocabulary)),
        layers=tuple(LayerSpec(known[kind], mlp, PreNorm(norm)) for kind, mlp in zip(kinds, mlps, strict=True)),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )


def _attention(config: Config, norm: RMSNorm, groups: int) -> AttentionSpec:
    heads, size = config.size("num_attention_heads", 16), config.size("head_dim", 256)
    bias = config.flag("attention_bias")
    return AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads, groups),
        head_size=size,
        scale=size**-0.5,
        window=CAUSAL,
        position=rotary(config, size, partial=0.25, longest=32768),
        bias=bias,
        output_bias=bias,
        qk_norm=QKNorm(norm),
        gated=True,
    )


def _delta(config: Config) -> GatedDelta:
    keys, values = config.size("linear_num_key_heads", 16), config.size("linear_num_value_heads", 32)
    if values % keys:
        raise ModelError(f"config.json: {values} heads of values do not share {keys} heads of keys evenly")
    return GatedDelta(
        key_heads=keys,
        heads=values,
        key_size=config.size("linear_key_head_dim", 128),
        value_size=config.size("linear_value_head_dim", 128),
        convolution=config.size("linear_conv_kernel_dim", 4),
        activation=config.activation("hidden_act", "silu"),
        norm=RMSNorm(config.number("rms_norm_eps", 1e-6)),
    )
