"""OPT (Zhang et al. 2022) and Galactica (Taylor et al. 2022): decoders with learned positions that begin at row 2."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    Learned,
    PostNorm,
    PreNorm,
    Projection,
    Spec,
)
from attnviz.model.families import both

PREFIX = "model."

NAMES = {
    "decoder.embed_tokens.weight": "embed.tokens.weight",
    "decoder.embed_positions.weight": "embed.positions.weight",
    "decoder.project_in.weight": "embed.project.weight",
    **both("decoder.layers.{}.self_attn.q_proj", "layers.{}.attention.query"),
    **both("decoder.layers.{}.self_attn.k_proj", "layers.{}.attention.key"),
    **both("decoder.layers.{}.self_attn.v_proj", "layers.{}.attention.value"),
    **both("decoder.layers.{}.self_attn.out_proj", "layers.{}.attention.output"),
    **both("decoder.layers.{}.self_attn_layer_norm", "layers.{}.attention.norm"),
    **both("decoder.layers.{}.fc1", "layers.{}.mlp.up"),
    **both("decoder.layers.{}.fc2", "layers.{}.mlp.down"),
    **both("decoder.layers.{}.final_layer_norm", "layers.{}.mlp.norm"),
    **both("decoder.final_layer_norm", "norm"),
    "decoder.project_out.weight": "project.weight",
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of an OPT; absent attributes have the values of transformers' ``OPTConfig``."""
    heads = config.size("num_attention_heads", 12)
    width = config.width("hidden_size", 768, heads)
    size, bias = width // heads, config.flag("enable_bias", True)
    config.decoder()
    config.expect("learned_embeddings", True)
    config.expect("scale_embeddings", False)
    config.ignore("activation_dropout", "dropout", "init_std", "layerdrop")
    affine = config.flag("layer_norm_elementwise_affine", True)
    norm = LayerNorm(1e-5, bias=affine, weight=affine)
    before = config.flag("do_layer_norm_before", True)
    # Models fine-tuned before transformers 4.20.1 lack the last norm.
    ends_normed = not config.flag("_remove_final_layer_norm") and before
    inner = config.size("word_embed_proj_dim", width)
    layer = LayerSpec(
        attention=AttentionSpec(heads, heads, size, size**-0.5, CAUSAL, bias=bias, output_bias=bias),
        mlp=MLP(config.size("ffn_dim", 3072), config.activation("activation_function", "relu"), bias=bias),
        norms=PreNorm(norm) if before else PostNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 50272),
            positions=Learned(config.size("max_position_embeddings", 2048), offset=2),
            projection=None if inner == width else Projection(inner, bias=False, tokens=True),
        ),
        layers=(layer,) * config.size("num_hidden_layers", 12),
        final_norm=norm if ends_normed else None,
        final_size=None if inner == width else inner,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )
