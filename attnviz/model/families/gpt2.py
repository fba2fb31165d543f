"""GPT-2 (Radford et al. 2019): a decoder with pre-norms and learned positions, its matrices stored transposed."""

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
    PreNorm,
    Spec,
)
from attnviz.model.families import Names, both

PREFIX = "transformer."
ATTRIBUTES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}

NAMES: Names = {
    "wte.weight": "embed.tokens.weight",
    "wpe.weight": "embed.positions.weight",
    **both("h.{}.ln_1", "layers.{}.attention.norm"),
    "h.{}.attn.c_attn.weight": "layers.{}.attention.qkv.weight.T",
    "h.{}.attn.c_attn.bias": "layers.{}.attention.qkv.bias",
    "h.{}.attn.c_proj.weight": "layers.{}.attention.output.weight.T",
    "h.{}.attn.c_proj.bias": "layers.{}.attention.output.bias",
    **both("h.{}.ln_2", "layers.{}.mlp.norm"),
    "h.{}.mlp.c_fc.weight": "layers.{}.mlp.up.weight.T",
    "h.{}.mlp.c_fc.bias": "layers.{}.mlp.up.bias",
    "h.{}.mlp.c_proj.weight": "layers.{}.mlp.down.weight.T",
    "h.{}.mlp.c_proj.bias": "layers.{}.mlp.down.bias",
    **both("ln_f", "norm"),
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a GPT-2; absent attributes have the values of transformers' ``GPT2Config``."""
    heads = config.size("n_head", 12)
    width = config.width("n_embd", 768, heads)
    config.decoder()
    config.ignore("n_ctx", "attn_pdrop", "embd_pdrop", "resid_pdrop", "reorder_and_upcast_attn")
    scale = (width // heads) ** -0.5 if config.flag("scale_attn_weights", True) else 1.0
    by_layer = config.flag("scale_attn_by_inverse_layer_idx")
    norm = LayerNorm(config.number("layer_norm_epsilon", 1e-5))
    mlp = MLP(config.size("n_inner", 4 * width), config.activation("activation_function", "gelu_new"))
    layers = (
        LayerSpec(
            AttentionSpec(heads, heads, width // heads, scale / (i + 1 if by_layer else 1), CAUSAL), mlp, PreNorm(norm)
        )
        for i in range(config.size("n_layer", 12))
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 50257), Learned(config.size("n_positions", 1024))),
        layers=tuple(layers),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )
