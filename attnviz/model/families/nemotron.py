"""Nemotron (Parmar et al. 2024): LayerNorms around one, squared ReLUs, rotary positions in half of each head."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import MLP, LayerNorm, LayerSpec, PreNorm, Spec
from attnviz.model.families import DECODER_NAMES, LAYER_NORM_NAMES, both, decoder_spec, grouped_attention, names_without

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
    width = config.size("hidden_size", 6144)
    norm = LayerNorm(config.number("norm_eps", 1e-5), offset=1.0)
    layer = LayerSpec(
        attention=grouped_attention(config, width, 48, partial=0.5, longest=4096),
        mlp=MLP(
            config.size("intermediate_size", 24576), config.activation("hidden_act", "relu2"), config.flag("mlp_bias")
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=256000, layers=32)
