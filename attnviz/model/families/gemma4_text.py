"""Gemma 4 (Gemma Team 2026): a Gemma 3 whose last layers use keys and values of earlier ones, whose tokens have numbers
for each layer, and whose layers that see all have heads of another size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attnviz.attention.window import CAUSAL
from attnviz.errors import ModelError, UnsupportedModel, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AnyMLP,
    AttentionSpec,
    Embedding,
    Experts,
    GatedMLP,
    Head,
    LayerEmbedding,
    LayerSpec,
    MLPAndExperts,
    QKNorm,
    RMSNorm,
    SandwichNorm,
    Spec,
    TokenGate,
)
from attnviz.model.families import QK_NORM_NAMES
from attnviz.model.families.gemma2 import NAMES as GEMMA2_NAMES

PREFIX = "model."

_EXPERTS = "layers.{}.mlp.mixture"
NAMES = {
    **GEMMA2_NAMES,
    **QK_NORM_NAMES,
    "embed_tokens_per_layer.weight": "embed.layers.weight",
    "per_layer_model_projection.weight": "embed.project_layers.weight",
    "per_layer_projection_norm.weight": "embed.layers_norm.weight",
    "layers.{}.per_layer_input_gate.weight": "layers.{}.token_gate.gate.weight",
    "layers.{}.per_layer_projection.weight": "layers.{}.token_gate.out.weight",
    "layers.{}.post_per_layer_input_norm.weight": "layers.{}.token_gate.norm.weight",
    "layers.{}.layer_scalar": "layers.{}.scale",
    "layers.{}.post_feedforward_layernorm_1.weight": "layers.{}.mlp.dense_norm.weight",
    "layers.{}.pre_feedforward_layernorm_2.weight": f"{_EXPERTS}.norm.weight",
    "layers.{}.post_feedforward_layernorm_2.weight": f"{_EXPERTS}.norm_after.weight",
    "layers.{}.router.scale": f"{_EXPERTS}.router_norm.weight",
    "layers.{}.router.proj.weight": f"{_EXPERTS}.router.weight",
    "layers.{}.router.per_expert_scale": f"{_EXPERTS}.weights",
    "layers.{}.experts.gate_up_proj": f"{_EXPERTS}.experts.gate_up.weight",
    "layers.{}.experts.down_proj": f"{_EXPERTS}.experts.down.weight",
}

_TURNS = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
}
DEFAULTS = {
    "gemma4_text": {"rope_parameters": _TURNS},
    "gemma4_unified_text": {
        "rope_parameters": _TURNS, "max_position_embeddings": 262144, "sliding_window": 1024,
        "hidden_size_per_layer_input": 0,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Gemma 4; absent attributes have the values of transformers' ``Gemma4TextConfig``."""
    config.decoder()
    config.expect("use_bidirectional_attention", None, "vision")  # of pictures alone
    for name in ("rope_scaling", "rope_theta", "partial_rotary_factor"):  # transformers passes over them
        config.expect(name, None)
    width, vocabulary = config.size("hidden_size", 2304), config.size("vocab_size", 262144)
    activation = config.activation("hidden_activation", "gelu_pytorch_tanh")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6), once=True)
    beside = config.count("hidden_size_per_layer_input", 256)
    known = config.size("vocab_size_per_layer_input", 262144)
    if beside and known < vocabulary:
        raise UnsupportedModel(f"config.json: {known} of {vocabulary} tokens have numbers for each layer")
    attentions = _attentions(config, norm)
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary, scale=width**0.5, layers=LayerEmbedding(beside, known, norm) if beside else None
        ),
        layers=tuple(
            LayerSpec(
                attention,
                mlp,
                SandwichNorm(norm),
                token_gate=TokenGate(beside, activation, norm) if beside else None,
                scaled=True,
            )
            for attention, mlp in zip(attentions, _mlps(config, attentions, width, activation, norm), strict=True)
        ),
        final_norm=norm,
        head=Head(
            tied=config.flag("tie_word_embeddings", default=True),
            softcap=config.optional_number("final_logit_softcapping"),
        ),
    )


def _attentions(config: Config, norm: RMSNorm) -> list[AttentionSpec]:
    """The attention of each layer: most have a window; the others may have heads of another size and number."""
    count, heads = config.size("num_hidden_layers", 30), config.size("num_attention_heads", 8)
    kinds = config.each("layer_types", ["sliding_attention" if (i + 1) % 6 else "full_attention" for i in range(count)])
    windows = config.layer_windows(config.size("sliding_window", 512), kinds)
    kinds, windows = [*kinds[:-1], "full_attention"], (*windows[:-1], CAUSAL)  # as transformers makes it
    bias, both = config.flag("attention_bias"), config.flag("attention_k_eq_v")
    sizes = _sizes(config, kinds)
    turns = {
        kind: rotary(config, size, longest=131072, kind=kind, proportional=True) for kind, (size, _) in sizes.items()
    }
    return [
        AttentionSpec(
            heads=heads,
            kv_heads=sizes[kind][1],
            head_size=sizes[kind][0],
            scale=1.0,
            window=window,
            position=turns[kind],
            bias=bias,
            output_bias=bias,
            qk_norm=QKNorm(norm),
            keys_of=source,
            keys_as_values=both and kind == "full_attention",
            value_norm=RMSNorm(norm.eps, weight=False),
        )
        for kind, window, source in zip(kinds, windows, _sources(config, kinds), strict=True)
    ]


def _sizes(config: Config, kinds: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The size of a head and the number of key-value heads in each kind of layer."""
    heads = config.size("num_attention_heads", 8)
    usual = {"head_dim": config.size("head_dim", 256), "num_key_value_heads": config.kv_heads(heads, 4)}
    found: dict[str, tuple[int, int]] = {}
    for kind, said in zip(kinds, _of_layers(config, kinds), strict=True):
        own = Config({**usual, **said})
        sizes = own.size("head_dim"), own.kv_heads(heads)
        own.close()
        if found.setdefault(kind, sizes) != sizes:
            raise UnsupportedModel(f"config.json: per_layer_config differs among layers of type {kind}")
    return found


def _of_layers(config: Config, kinds: Sequence[str]) -> list[Mapping[str, Any]]:
    """What the config says of each layer alone: ``per_layer_config`` or, in its older form, of layers that see all."""
    far = {"head_dim": config.size("global_head_dim", 512)}
    fewer = config.optional("num_global_key_value_heads")
    if fewer and config.flag("attention_k_eq_v"):
        far["num_key_value_heads"] = fewer
    said = config.get("per_layer_config", None)
    if said is None:
        return [far if kind == "full_attention" else {} for kind in kinds]
    numbers = {int(at): one for at, one in said.items()}  # "05" is layer 5
    if not all(at in range(len(kinds)) and isinstance(one, Mapping) for at, one in numbers.items()):
        raise ModelError(f"config.json: per_layer_config is {short(said)}, expected attributes by number of layer")
    return [numbers.get(i, {}) for i in range(len(kinds))]


def _sources(config: Config, kinds: Sequence[str]) -> list[int | None]:
    """The layer whose keys and values each layer uses: of the last ones the last of its kind before them."""
    first = len(kinds) - config.count("num_kv_shared_layers", 0)
    before = list(kinds[: max(first, 0)])
    if first < len(kinds) and {*before} != {*kinds}:
        raise ModelError("config.json: num_kv_shared_layers leaves a type of layer no layer with keys of its own")
    last = {kind: first - 1 - before[::-1].index(kind) for kind in before}
    return [None if i < first else last[kind] for i, kind in enumerate(kinds)]


def _mlps(
    config: Config, attentions: Sequence[AttentionSpec], width: int, activation: str, norm: RMSNorm
) -> list[AnyMLP]:
    """The MLP of each layer, twice as wide where keys are those of another if the config says so; or also experts."""
    size, wide = config.size("intermediate_size", 9216), config.flag("use_double_wide_mlp")
    dense = [
        GatedMLP(size * (2 if wide and attention.keys_of is not None else 1), activation) for attention in attentions
    ]
    if not config.flag("enable_moe_block"):
        config.ignore("num_experts", "top_k_experts", "moe_intermediate_size")
        return [*dense]
    inner, count, chosen = (config.size(name) for name in ("moe_intermediate_size", "num_experts", "top_k_experts"))
    if chosen > count:
        raise ModelError(f"config.json: top_k_experts is {chosen}, of {count} experts")
    experts = Experts(
        GatedMLP(inner, activation), count, chosen, shares="chosen", sharpness=width**-0.5, weighted=True, norm=norm
    )
    return [MLPAndExperts(one, experts, norm) for one in dense]
