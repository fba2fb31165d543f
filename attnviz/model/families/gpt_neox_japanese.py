"""GPT-NeoX Japanese (abeja 2022): a GPT-NeoX with attention and MLP in turn, and one bias, in the last layer."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import MLP, AttentionSpec, Embedding, Head, LayerNorm, LayerSpec, PreNorm, Spec
from attnviz.model.families import names_without
from attnviz.model.families.gpt_neox import ATTRIBUTES
from attnviz.model.families.gpt_neox import NAMES as NEOX_NAMES

__all__ = ["ATTRIBUTES", "spec"]

PREFIX = "gpt_neox_japanese."

NAMES = {
    **names_without(NEOX_NAMES, "value.bias", "dense.bias", "4h.bias", "_h.bias", "lm_head"),
    "layers.{}.attention.dense_bias": "layers.{}.attention.output.bias",
}


def spec(config: Config) -> Spec:
    """The facts of a GPT-NeoX Japanese; absent attributes have the values of its class of configs in transformers."""
    heads = config.size("num_attention_heads", 32)
    width = config.width("hidden_size", 2560, heads)
    size = width // heads
    config.decoder()
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5))
    position = rotary(config, size, partial=1.0)
    attention = AttentionSpec(heads, heads, size, size**-0.5, CAUSAL, position, bias=False, output_bias=False)
    layer = LayerSpec(
        attention=attention,
        mlp=MLP(
            width * config.size("intermediate_multiple_size", 4), config.activation("hidden_act", "gelu"), bias=False
        ),
        norms=PreNorm(norm),
    )
    last = replace(layer, attention=replace(attention, output_bias=True))
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 32000)),
        layers=(*(layer,) * (config.size("num_hidden_layers", 32) - 1), last),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )
