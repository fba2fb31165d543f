"""LFM2 (Liquid AI 2025): most layers have a short convolution in the place of attention; the others norm the queries
and keys of each head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attnviz.attention.window import CAUSAL
from attnviz.errors import UnsupportedModel
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
    ShortConvolution,
    Spec,
)
from attnviz.model.families import both

PREFIX = "model."

ATTRIBUTES = {"block_ff_dim": "intermediate_size", "tie_embedding": "tie_word_embeddings"}

NAMES = {
    "embed_tokens.weight": "embed.tokens.weight",
    "layers.{}.self_attn.q_proj.weight": "layers.{}.attention.query.weight",
    "layers.{}.self_attn.k_proj.weight": "layers.{}.attention.key.weight",
    "layers.{}.self_attn.v_proj.weight": "layers.{}.attention.value.weight",
    "layers.{}.self_attn.out_proj.weight": "layers.{}.attention.output.weight",
    "layers.{}.self_attn.q_layernorm.weight": "layers.{}.attention.query_norm.weight",
    "layers.{}.self_attn.k_layernorm.weight": "layers.{}.attention.key_norm.weight",
    **both("layers.{}.conv.in_proj", "layers.{}.mixer.before_after_value"),
    **both("layers.{}.conv.conv", "layers.{}.mixer.convolution"),
    **both("layers.{}.conv.out_proj", "layers.{}.mixer.output"),
    "layers.{}.operator_norm.weight": "layers.{}.attention.norm.weight",
    "layers.{}.ffn_norm.weight": "layers.{}.mlp.norm.weight",
    "layers.{}.feed_forward.w1.weight": "layers.{}.mlp.gate.weight",
    "layers.{}.feed_forward.w3.weight": "layers.{}.mlp.up.weight",
    "layers.{}.feed_forward.w2.weight": "layers.{}.mlp.down.weight",
    "embedding_norm.weight": "norm.weight",
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of an LFM2; absent attributes have the values of transformers' ``Lfm2Config``."""
    config.only("block_use_swiglu", True)
    config.only("use_pos_enc", True)
    config.ignore(
        "block_dim", "block_mlp_init_scale", "block_norm_eps", "block_out_init_scale", "block_use_xavier_init",
        "conv_dim", "conv_dim_out", "conv_use_xavier_init", "num_heads",
    )  # fmt: skip
    count = config.size("num_hidden_layers", 32)
    attending = config.get("full_attn_idxs", range(count))
    usual = ["full_attention" if i in attending else "conv" for i in range(count)]
    mlp = GatedMLP(_inner(config), "silu")
    return convolved_spec(config, usual, lambda _: mlp, width=2560)


def _inner(config: Config) -> int:
    """The units of an MLP: two thirds of what the config says, times a factor, in whole blocks."""
    size = config.size("intermediate_size", 12288)
    factor, block = config.optional_number("block_ffn_dim_multiplier", 1.0), config.size("block_multiple_of", 256)
    if not config.flag("block_auto_adjust_ff_dim", True):
        return size
    size = int(2 * size / 3)
    return size if factor is None else -(-int(factor * size) // block) * block


def convolved_spec(
    config: Config, usual: Sequence[str], mlp: Callable[[int], GatedMLP | Experts], *, width: int
) -> Spec:
    """The facts of a decoder some of whose layers have a short convolution; ``mlp`` gives the MLP of each layer.

    The ``usual`` kinds of layers and the ``width`` are what a config that is silent means.

    Raises:
        UnsupportedModel: a layer is of another kind.
    """
    config.decoder()
    width = config.size("hidden_size", width)
    heads, norm = config.size("num_attention_heads", 32), RMSNorm(config.number("norm_eps", 1e-5))
    size = config.head_size(width, heads)
    attention = AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads, 8),
        head_size=size,
        scale=size**-0.5,
        window=CAUSAL,
        position=rotary(config, size, theta=1e6, longest=128_000),
        bias=False,
        output_bias=False,
        qk_norm=QKNorm(norm),
    )
    convolution = ShortConvolution(config.size("conv_L_cache", 3), config.flag("conv_bias"))
    known: dict[str, AttentionSpec | ShortConvolution] = {"full_attention": attention, "conv": convolution}
    kinds = config.each("layer_types", usual)
    if unknown := sorted({str(kind) for kind in kinds} - known.keys()):
        raise UnsupportedModel(
            f"config.json: layer_types has {', '.join(unknown)}; our forward pass knows {', '.join(known)}"
        )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 65536)),
        layers=tuple(LayerSpec(known[kind], mlp(i), PreNorm(norm)) for i, kind in enumerate(kinds)),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )
