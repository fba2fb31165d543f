"""Falcon (Almazrouei et al. 2023): a decoder with few key-value heads, mostly attention and MLP side by side; rotary
positions, or ALiBi where it was trained on RefinedWeb alone.
"""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.errors import ModelError
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    MLP,
    ALiBi,
    AttentionSpec,
    LayerNorm,
    LayerSpec,
    ParallelNorm,
    PreNorm,
    Rotary,
    Spec,
)
from attnviz.model.families import both, decoder_spec

PREFIX = "transformer."
ATTRIBUTES = {"n_embed": "hidden_size"}

NAMES = {
    "word_embeddings.weight": "embed.tokens.weight",
    **both("h.{}.input_layernorm", "layers.{}.attention.norm"),
    **both("h.{}.ln_attn", "layers.{}.attention.norm"),
    **both("h.{}.self_attention.query_key_value", "layers.{}.attention.groups"),
    **both("h.{}.self_attention.dense", "layers.{}.attention.output"),
    **both("h.{}.post_attention_layernorm", "layers.{}.mlp.norm"),
    **both("h.{}.ln_mlp", "layers.{}.mlp.norm"),
    **both("h.{}.mlp.dense_h_to_4h", "layers.{}.mlp.up"),
    **both("h.{}.mlp.dense_4h_to_h", "layers.{}.mlp.down"),
    **both("ln_f", "norm"),
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a Falcon; absent attributes have the values of transformers' ``FalconConfig``."""
    heads = config.size("num_attention_heads", 71)
    width = config.width("hidden_size", 4544, heads)
    size, bias = width // heads, config.flag("bias")
    config.decoder()
    config.expect("apply_residual_connection_post_layernorm", False)
    config.ignore("hidden_dropout", "max_position_embeddings", "rope_parameters", "rope_scaling", "rope_theta")
    norm = LayerNorm(config.number("layer_norm_epsilon", 1e-5))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads,
            _kv_heads(config, heads),
            size,
            scale=size**-0.5,
            window=CAUSAL,
            position=_position(config, size),
            bias=bias,
            output_bias=bias,
        ),
        mlp=MLP(config.size("ffn_hidden_size", 4 * width), config.activation("activation", "gelu"), bias=bias),
        norms=_norms(config, norm),
    )
    return decoder_spec(config, width, layer, vocabulary=65024, layers=32, tied=True)


def _position(config: Config, size: int) -> ALiBi | Rotary:
    """ALiBi is added before the scores are scaled, and was rounded to bfloat16 in training."""
    return ALiBi(scale=size**-0.5, bfloat16=True) if config.flag("alibi") else rotary(config, size)


def _kv_heads(config: Config, heads: int) -> int:
    """The first architecture has one or as many as there are query heads, the second says how many."""
    count, one = config.size("num_kv_heads", heads), config.flag("multi_query", True)
    if not config.flag("new_decoder_architecture"):
        return 1 if one else heads
    if heads % count:
        raise ModelError(f"config.json: {heads} attention heads do not share {count} key-value heads evenly")
    return count


def _norms(config: Config, norm: LayerNorm) -> ParallelNorm | PreNorm:
    """The first architecture has one norm for both sublayers, or one after the other; the second one or two."""
    if config.flag("new_decoder_architecture"):
        config.expect("parallel_attn", True)
        return ParallelNorm(norm, shared=config.expect("num_ln_in_parallel_attn", 2, 1) == 1)
    if not config.flag("parallel_attn", True):
        config.ignore("num_ln_in_parallel_attn")
        return PreNorm(norm)
    config.expect("num_ln_in_parallel_attn", 1)
    return ParallelNorm(norm, shared=True)
