"""Command R7B (Cohere 2025): Command R with windows; every fourth layer sees all and has no positions."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    GatedMLP,
    Head,
    LayerNorm,
    LayerSpec,
    ParallelNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, names_without

PREFIX = "model."

NAMES = names_without(DECODER_NAMES, "post_attention_layernorm")


def spec(config: Config) -> Spec:
    """The facts of a Command R7B; absent attributes have the values of transformers' ``Cohere2Config``."""
    config.decoder()
    _expect_what_was_trained(config)
    heads, width = config.size("num_attention_heads", 64), config.size("hidden_size", 8192)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5), bias=False)
    attention = AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads),
        head_size=size,
        scale=size**-0.5,
        window=CAUSAL,
        bias=bias,
        output_bias=bias,
    )
    mlp = GatedMLP(config.size("intermediate_size", 22528), config.activation("hidden_act", "silu"))
    turns = rotary(config, size, longest=8192, interleaved=True)
    pattern = config.size("sliding_window_pattern", 4)
    layer_windows = config.windows_by_pattern(config.size("num_hidden_layers", 40), pattern)
    attentions = (
        replace(attention, window=window, position=None if window == CAUSAL else turns) for window in layer_windows
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 256000)),
        layers=tuple(LayerSpec(each, mlp, ParallelNorm(norm, shared=True)) for each in attentions),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", default=True), scale=config.number("logit_scale", 0.0625)),
    )


def _expect_what_was_trained(config: Config) -> None:
    """What published configs say of a more general code, with the only values that transformers has."""
    config.expect("use_qk_norm", False)
    config.expect("position_embedding_type", "rope_gptj")
    config.expect("rotary_pct", 1.0)
    config.expect("order_of_interleaved_layers", "local_attn_first")
    for name in ("use_embedding_sharing", "use_gated_activation", "use_parallel_block"):
        config.expect(name, True)
    # These cut the work otherwise, or say again what ``sliding_window_pattern`` says.
    config.ignore("layer_switch", "use_parallel_embedding")
