"""Nemotron (Parmar et al. 2024): LayerNorms around one, squared ReLUs, rotary positions in half of each head."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import MLP, AttentionSpec, LayerNorm, LayerSpec, PreNorm, Spec
from attnviz.model.families import DECODER_NAMES, LAYER_NORM_NAMES, both, decoder_spec, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "mlp."),
    **LAYER_NORM_NAMES,
    **both("layers.{}.mlp.up_proj", "layers.{}.mlp.up"),
    **both("layers.{}.mlp.down_proj", "layers.{}.mlp.down"),
}


def spec(config: Config) -> Spec:
    """The facts of a Nemotron; absent attributes have the values of transformers' ``NemotronConfig``."""
    config.decoder()
    heads, width = config.size("num_attention_heads", 48), config.size("hidden_size", 6144)
    size, bias = config.head_size(width, heads), config.flag("attention_bias")
    norm = LayerNorm(config.number("norm_eps", 1e-5), offset=1.0)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, partial=0.5, longest=4096),
            bias=bias,
            output_bias=bias,
        ),
        mlp=MLP(
            config.size("intermediate_size", 24576), config.activation("hidden_act", "relu2"), config.flag("mlp_bias")
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=256000, layers=32)
