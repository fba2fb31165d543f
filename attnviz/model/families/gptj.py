"""GPT-J (Wang & Komatsuzaki 2021): attention and MLP side by side behind one norm, interleaved rotary positions."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.errors import ModelError
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    ParallelNorm,
    Rotary,
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
    **both("h.{}.ln_1", "layers.{}.attention.norm"),
    "h.{}.attn.q_proj.weight": "layers.{}.attention.query.weight",
    "h.{}.attn.k_proj.weight": "layers.{}.attention.key.weight",
    "h.{}.attn.v_proj.weight": "layers.{}.attention.value.weight",
    "h.{}.attn.out_proj.weight": "layers.{}.attention.output.weight",
    **both("h.{}.mlp.fc_in", "layers.{}.mlp.up"),
    **both("h.{}.mlp.fc_out", "layers.{}.mlp.down"),
    **both("ln_f", "norm"),
    **both("lm_head", "head"),
}


def spec(config: Config) -> Spec:
    """The facts of a GPT-J; absent attributes have the values of transformers' ``GPTJConfig``."""
    heads = config.size("n_head", 16)
    width = config.width("n_embd", 4096, heads)
    size, turned = width // heads, config.size("rotary_dim", 64)
    if turned > size or turned % 2:
        raise ModelError(f"config.json: rotary_dim is {turned}, expected an even number up to the head size {size}")
    config.decoder()
    config.expect("rotary", True)
    config.expect("scale_attn_weights", True)
    config.ignore("n_positions", "n_ctx", "attn_pdrop", "embd_pdrop", "resid_pdrop")
    norm = LayerNorm(config.number("layer_norm_epsilon", 1e-5))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads,
            heads,
            size,
            scale=size**-0.5,
            window=CAUSAL,
            position=Rotary(10_000.0, turned, interleaved=True),
            bias=False,
            output_bias=False,
        ),
        mlp=MLP(config.size("n_inner", 4 * width), config.activation("activation_function", "gelu_new")),
        norms=ParallelNorm(norm, shared=True),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 50400)),
        layers=(layer,) * config.size("n_layer", 28),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings"), bias=True),
    )
