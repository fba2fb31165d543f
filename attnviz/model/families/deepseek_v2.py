"""DeepSeek-V2 (DeepSeek-AI 2024): keys and values from one small vector for all heads, and experts of which some read
all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attnviz.attention.window import CAUSAL
from attnviz.errors import ModelError, UnsupportedModel, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary, yarn_scale
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    Experts,
    GatedMLP,
    Groups,
    Head,
    Latent,
    LayerSpec,
    PreNorm,
    RMSNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, both, expert_names, names_without

PREFIX = "model."
ATTRIBUTES = {"num_experts": "n_routed_experts"}

NAMES = {
    **names_without(DECODER_NAMES, "q_proj.bias", "k_proj", "v_proj"),
    **both("layers.{}.self_attn.q_a_proj", "layers.{}.attention.query_latent"),
    "layers.{}.self_attn.q_a_layernorm.weight": "layers.{}.attention.query_latent_norm.weight",
    "layers.{}.self_attn.q_b_proj.weight": "layers.{}.attention.query.weight",
    **both("layers.{}.self_attn.kv_a_proj_with_mqa", "layers.{}.attention.latent"),
    "layers.{}.self_attn.kv_a_layernorm.weight": "layers.{}.attention.latent_norm.weight",
    "layers.{}.self_attn.kv_b_proj.weight": "layers.{}.attention.key_values.weight",
    **both("layers.{}.mlp.gate_proj", "layers.{}.mlp.gate"),
    **both("layers.{}.mlp.up_proj", "layers.{}.mlp.up"),
    **both("layers.{}.mlp.down_proj", "layers.{}.mlp.down"),
    **expert_names("layers.{}.mlp"),
    **both("layers.{}.mlp.shared_experts.gate_proj", "layers.{}.mlp.shared.gate"),
    **both("layers.{}.mlp.shared_experts.up_proj", "layers.{}.mlp.shared.up"),
    **both("layers.{}.mlp.shared_experts.down_proj", "layers.{}.mlp.shared.down"),
}


def spec(config: Config) -> Spec:
    """The facts of a DeepSeek-V2; absent attributes have the values of transformers' ``DeepseekV2Config``."""
    config.expect("scoring_func", "softmax")
    config.only("norm_topk_prob", False)
    method = config.expect("topk_method", "greedy", "group_limited_greedy")
    width, activation = config.size("hidden_size", 4096), config.activation("hidden_act", "silu")
    bias = config.flag("mlp_bias")
    count, chosen = config.experts("n_routed_experts", 64, 6)  # transformers' default is None, which does not run
    inner = config.size("moe_intermediate_size", 1407)
    experts = Experts(
        GatedMLP(inner, activation),
        count,
        chosen,
        shares="all",
        factor=config.number("routed_scaling_factor", 1.0),
        groups=expert_groups(config, count, chosen, 1) if method == "group_limited_greedy" else None,
        shared=GatedMLP(inner * config.size("n_shared_experts", 2), activation, bias),
    )
    config.ignore("n_group", "topk_group")
    dense = GatedMLP(config.size("intermediate_size", 11008), activation, bias)
    attention = latent_attention(config, 32, interleaved=True)
    return deepseek_spec(config, width, attention, dense, experts, layers=32, vocabulary=102400, first=0)


def deepseek_spec(
    config: Config,
    width: int,
    attention: AttentionSpec,
    dense: GatedMLP,
    experts: Experts,
    *,
    layers: int,
    vocabulary: int,
    first: int,
    eps: float = 1e-6,
) -> Spec:
    """The facts of DeepSeek's kin, whose first layers are ``dense``; the last arguments are defaults."""
    config.decoder()
    config.expect("moe_layer_freq", 1)
    config.ignore("aux_loss_alpha", "ep_size", "head_dim", "qk_head_dim", "seq_aux")
    norm = PreNorm(RMSNorm(config.number("rms_norm_eps", eps)))
    first = config.count("first_k_dense_replace", first)
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", vocabulary)),
        layers=tuple(
            LayerSpec(attention, dense if i < first else experts, norm)
            for i in range(config.size("num_hidden_layers", layers))
        ),
        final_norm=norm.norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )


def typed_layers(config: Config, found: Spec, dense: GatedMLP, experts: Experts) -> Spec:
    """The model with a ``dense`` MLP or ``experts`` in each layer as ``mlp_layer_types`` says, if it is there."""
    kinds = ["dense" if layer.mlp == dense else "sparse" for layer in found.layers]
    kinds = list(config.each("mlp_layer_types", kinds))
    if {*kinds} - {"dense", "sparse"}:
        raise UnsupportedModel(f"config.json: mlp_layer_types is {short(kinds)}; our forward pass knows dense, sparse")
    pairs = zip(found.layers, kinds, strict=True)
    layers = tuple(replace(layer, mlp=dense if kind == "dense" else experts) for layer, kind in pairs)
    return replace(found, layers=layers)


def latent_attention(
    config: Config, heads: int, *, interleaved: bool, longest: int = 2048, **turns: Any
) -> AttentionSpec:
    """The attention of DeepSeek's kin, with so many ``heads`` unless the config says others; ``turns`` are further
    arguments of ``rotary``.
    """
    heads = config.size("num_attention_heads", heads)
    if config.kv_heads(heads) != heads:
        raise ModelError(
            f"config.json: num_key_value_heads is not the number of heads, {heads}: values are of each head"
        )
    own, turned = config.size("qk_nope_head_dim", 128), config.size("qk_rope_head_dim", 64)
    bias = config.flag("attention_bias")
    return AttentionSpec(
        heads=heads,
        kv_heads=heads,
        head_size=own + turned,
        scale=(own + turned) ** -0.5 * yarn_scale(config),
        window=CAUSAL,
        position=rotary(config, turned, longest=longest, interleaved=interleaved, last=True, **turns),
        bias=False,
        output_bias=bias,
        latent=Latent(
            config.size("kv_lora_rank", 512),
            turned,
            config.size("v_head_dim", 128),
            RMSNorm(1e-6),
            config.optional("q_lora_rank", 1536),
            bias,
        ),
    )


def expert_groups(config: Config, count: int, chosen: int, best: int, groups: int = 1, some: int = 1) -> Groups | None:
    """The groups of ``count`` experts of which ``chosen`` read a token: ``some`` of ``groups`` by default."""
    groups, some = config.size("n_group", groups), config.size("topk_group", some)
    size = count // groups
    if count % groups or some > groups or chosen > some * size or best > size:
        raise ModelError(
            f"config.json: {chosen} of {count} experts can't be chosen in {some} of {groups} groups of equal size"
        )
    return Groups(groups, some, best) if some < groups else None
