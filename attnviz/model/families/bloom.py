"""BLOOM (BigScience 2022): a decoder with pre-norms, a norm on the embeddings, and ALiBi in place of positions."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
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
from attnviz.model.families import both

PREFIX = "transformer."
ATTRIBUTES = {"n_embed": "hidden_size", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}

NAMES = {
    "word_embeddings.weight": "embed.tokens.weight",
    **both("word_embeddings_layernorm", "embed.norm"),
    **both("h.{}.input_layernorm", "layers.{}.attention.norm"),
    **both("h.{}.self_attention.query_key_value", "layers.{}.attention.groups"),
    **both("h.{}.self_attention.dense", "layers.{}.attention.output"),
    **both("h.{}.post_attention_layernorm", "layers.{}.mlp.norm"),
    **both("h.{}.mlp.dense_h_to_4h", "layers.{}.mlp.up"),
    **both("h.{}.mlp.dense_4h_to_h", "layers.{}.mlp.down"),
    **both("ln_f", "norm"),
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a BLOOM; absent attributes have the values of transformers' ``BloomConfig``."""
    heads = config.size("n_head", 8)
    width = config.width("hidden_size", 64, heads)
    config.decoder()
    config.expect("apply_residual_connection_post_layernorm", False)
    config.expect("n_inner", 4 * width)
    config.expect("slow_but_exact", False)  # where it is set, transformers leaves out two biases
    config.ignore(
        "attention_softmax_in_fp32", "bias_dropout_fusion", "hidden_dropout", "masked_softmax_fusion", "offset_alibi",
        "seq_length", "skip_bias_add", "skip_bias_add_qkv",
    )  # fmt: skip
    norm = LayerNorm(config.number("layer_norm_epsilon", 1e-5))
    size = width // heads
    layer = LayerSpec(
        attention=AttentionSpec(heads, heads, size, scale=size**-0.5, window=CAUSAL, position=ALiBi()),
        mlp=MLP(4 * width, "bloom_gelu"),
        norms=PreNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 250880), norm=norm),
        layers=(layer,) * config.size("n_layer", 2),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )
