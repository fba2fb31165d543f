"""StarCoder 2 (Lozhkov et al. 2024): LayerNorms, biases everywhere, a plain MLP, a window."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import MLP, LayerNorm, LayerSpec, PreNorm, Spec
from attnviz.model.families import DECODER_NAMES, LAYER_NORM_NAMES, both, decoder_spec, grouped_attention, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "mlp."),
    **LAYER_NORM_NAMES,
    **both("layers.{}.mlp.c_fc", "layers.{}.mlp.up"),
    **both("layers.{}.mlp.c_proj", "layers.{}.mlp.down"),
}


def spec(config: Config) -> Spec:
    """The facts of a StarCoder 2; absent attributes have the values of transformers' ``Starcoder2Config``."""
    config.decoder()
    config.expect("norm_type", "layer_norm")
    config.expect("mlp_type", "default")
    config.ignore("embedding_dropout", "residual_dropout")
    width = config.size("hidden_size", 3072)
    bias = config.flag("use_bias", default=True)
    norm = LayerNorm(config.number("norm_epsilon", 1e-5))
    layer = LayerSpec(
        attention=replace(grouped_attention(config, width, 24, 2, bias=bias, longest=4096), window=config.window()),
        mlp=MLP(
            config.size("intermediate_size", 12288), config.activation("hidden_act", "gelu_pytorch_tanh"), bias=bias
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=49152, layers=30, tied=True)
