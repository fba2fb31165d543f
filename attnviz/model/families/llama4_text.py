"""Llama 4 (Meta 2025): rotary layers look within chunks of the text, others at all of it and more sharply; experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from attnviz.attention.window import CAUSAL, KeyWindow
from attnviz.errors import UnsupportedModel, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    Experts,
    GatedMLP,
    Head,
    LayerSpec,
    PreNorm,
    QKNorm,
    RMSNorm,
    Sigmoid,
    Spec,
    Temperature,
)
from attnviz.model.families import DECODER_NAMES, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, ".mlp."),
    "layers.{}.feed_forward.gate_proj.weight": "layers.{}.mlp.gate.weight",
    "layers.{}.feed_forward.up_proj.weight": "layers.{}.mlp.up.weight",
    "layers.{}.feed_forward.down_proj.weight": "layers.{}.mlp.down.weight",
    "layers.{}.feed_forward.router.weight": "layers.{}.mlp.router.weight",
    "layers.{}.feed_forward.experts.gate_up_proj": "layers.{}.mlp.experts.gate_up.weight.T",
    "layers.{}.feed_forward.experts.down_proj": "layers.{}.mlp.experts.down.weight.T",
    "layers.{}.feed_forward.shared_expert.gate_proj.weight": "layers.{}.mlp.shared.gate.weight",
    "layers.{}.feed_forward.shared_expert.up_proj.weight": "layers.{}.mlp.shared.up.weight",
    "layers.{}.feed_forward.shared_expert.down_proj.weight": "layers.{}.mlp.shared.down.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a Llama 4; absent attributes have the values of transformers' ``Llama4TextConfig``."""
    config.decoder()
    config.ignore("router_jitter_noise", "for_llm_compression", "for_llm_compressor")
    width, activation = config.size("hidden_size", 5120), config.activation("hidden_act", "silu")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    expert = GatedMLP(config.size("intermediate_size", 8192), activation)
    dense = GatedMLP(config.size("intermediate_size_mlp", 16384), activation)
    experts = Experts(
        expert, *config.experts("num_local_experts", 16, 1), shares=Sigmoid(normed=False), entering=True, shared=expert
    )
    attentions = _attentions(config, norm)
    step = config.size("interleave_moe_layer_step", 1)
    sparse = config.get("moe_layers", range(step - 1, len(attentions), step))
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 202048)),
        layers=tuple(
            LayerSpec(attention, experts if i in sparse else dense, PreNorm(norm))
            for i, attention in enumerate(attentions)
        ),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )


def _attentions(config: Config, norm: RMSNorm) -> list[AttentionSpec]:
    """The attention of each layer: with rotary positions, or with a temperature in their place."""
    heads = config.size("num_attention_heads", 40)
    size, bias = config.size("head_dim", 128), config.flag("attention_bias")
    plain = AttentionSpec(
        heads=heads, kv_heads=config.kv_heads(heads, 8), head_size=size, scale=size**-0.5, window=CAUSAL, bias=bias,
        output_bias=bias,
    )  # fmt: skip
    turning = replace(
        plain,
        position=rotary(config, size, theta=500_000.0, longest=131072, interleaved=True),
        qk_norm=QKNorm(replace(norm, weight=False), rotated=True) if config.flag("use_qk_norm", True) else None,
    )
    sharper = Temperature(config.number("attn_scale", 0.1), config.size("floor_scale", 8192), offset=1)
    still = replace(plain, temperature=sharper if config.flag("attn_temperature_tuning", True) else None)
    count, every = config.size("num_hidden_layers", 48), config.size("no_rope_layer_interval", 4)
    turns: Sequence[int] = [(i + 1) % every for i in range(count)]
    turns = config.each("no_rope_layers", turns) if config.get("no_rope_layers", []) else turns
    kinds = config.each("layer_types", ["chunked_attention" if turn else "full_attention" for turn in turns])
    chunk = config.size("attention_chunk_size", 8192)
    known = {"full_attention": (CAUSAL, None), "chunked_attention": (KeyWindow(chunk - 1, 0), chunk)}
    if unknown := {*kinds} - known.keys():
        raise UnsupportedModel(
            f"config.json: layer_types has {short(unknown.pop())}; our forward pass knows {', '.join(known)}"
        )
    return [
        replace(turning if turn else still, window=known[kind][0], chunk=known[kind][1])
        for turn, kind in zip(turns, kinds, strict=True)
    ]
