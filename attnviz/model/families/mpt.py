"""MPT (MosaicML 2023): a decoder with pre-norms, ALiBi in place of positions, and no biases at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attnviz.attention.window import CAUSAL
from attnviz.errors import ModelError
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    ALiBi,
    AttentionSpec,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    PreNorm,
    Spec,
)

PREFIX = "transformer."
ATTRIBUTES = {"hidden_size": "d_model", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}

NAMES = {
    "wte.weight": "embed.tokens.weight",
    "blocks.{}.norm_1.weight": "layers.{}.attention.norm.weight",
    "blocks.{}.attn.Wqkv.weight": "layers.{}.attention.qkv.weight",
    "blocks.{}.attn.out_proj.weight": "layers.{}.attention.output.weight",
    "blocks.{}.norm_2.weight": "layers.{}.mlp.norm.weight",
    "blocks.{}.ffn.up_proj.weight": "layers.{}.mlp.up.weight",
    "blocks.{}.ffn.down_proj.weight": "layers.{}.mlp.down.weight",
    "norm_f.weight": "norm.weight",
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of an MPT; absent attributes have the values of transformers' ``MptConfig``."""
    heads = config.size("n_heads", 16)
    width = config.width("d_model", 2048, heads)
    config.decoder()
    config.expect("no_bias", True)
    config.expect("expansion_ratio", 4)
    config.expect("logit_scale", None)
    config.expect("norm_type", "low_precision_layernorm", "layernorm")
    config.ignore(
        "emb_pdrop", "embedding_fraction", "init_config", "init_device", "learned_pos_emb", "max_seq_len",
        "resid_pdrop", "tokenizer_name", "verbose",
    )  # fmt: skip
    norm = LayerNorm(config.number("layer_norm_epsilon", 1e-5), bias=False)
    layer = LayerSpec(
        attention=_attention(config.get("attn_config", {}), heads, width // heads),
        mlp=MLP(4 * width, "gelu", bias=False),
        norms=PreNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 50368)),
        layers=(layer,) * config.size("n_layers", 24),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )


def _attention(said: Any, heads: int, size: int) -> AttentionSpec:
    """The attention that ``attn_config`` describes. ALiBi is not optional: transformers has no other positions."""
    if not isinstance(said, Mapping):
        raise ModelError(f"config.json: attn_config is {said!r}, expected its attributes")
    config = Config(said)
    config.decoder()
    config.expect("alibi", True)
    config.expect("alibi_bias_max", 8)  # transformers takes every other for 8: there is nothing to check against
    config.expect("attn_type", "multihead_attention")
    config.expect("attn_uses_sequence_id", False)
    config.expect("prefix_lm", False)
    config.expect("qk_ln", False)
    config.ignore("attn_impl", "attn_pdrop")
    attention = AttentionSpec(
        heads,
        heads,
        size,
        scale=config.number("softmax_scale", size**-0.5),
        window=CAUSAL,
        position=ALiBi(),
        bias=False,
        output_bias=False,
        clip=config.number("clip_qkv", 0.0) or None,
    )
    config.close()
    return attention
