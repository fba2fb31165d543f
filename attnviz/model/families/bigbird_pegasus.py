"""BigBird-Pegasus (Zaheer et al. 2020) with full attention: a Pegasus with learned positions."""

from __future__ import annotations

from dataclasses import replace

from attnviz.errors import UnsupportedModel, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import AttentionSpec, Embedding, LayerNorm, LayerSpec, Learned, PreNorm, Spec
from attnviz.model.families import both, names_without
from attnviz.model.families.bart import NAMES as BART_NAMES
from attnviz.model.families.bart import PREFIX, bart_spec

__all__ = ["PREFIX"]

NAMES = {
    **names_without(BART_NAMES, "encoder.layers.{}.self_attn.", "layernorm_embedding", "coder.layer_norm."),
    **both("encoder.layers.{}.self_attn.self.query", "encoder.layers.{}.attention.query"),
    **both("encoder.layers.{}.self_attn.self.key", "encoder.layers.{}.attention.key"),
    **both("encoder.layers.{}.self_attn.self.value", "encoder.layers.{}.attention.value"),
    **both("encoder.layers.{}.self_attn.output", "encoder.layers.{}.attention.output"),
    **both("encoder.layernorm_embedding", "encoder.norm"),
    **both("decoder.layernorm_embedding", "norm"),
}

DEFAULTS = {
    "bigbird_pegasus": {
        "encoder_layers": 16, "decoder_layers": 16, "activation_function": "gelu_new", "scale_embedding": True,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a BigBird-Pegasus."""
    config.ignore("block_size", "num_random_blocks")
    kind = config.get("attention_type", "block_sparse")
    if kind != "original_full":
        raise UnsupportedModel(
            f"config.json: attention_type is {short(kind)}; our forward pass knows original_full, in which a query of "
            "the encoder sees all keys, and no blocks, some of which are taken at random"
        )
    bias = config.flag("use_bias")

    def biased(attention: AttentionSpec) -> AttentionSpec:
        return replace(attention, bias=bias, output_bias=bias)

    def crossed(layer: LayerSpec) -> LayerSpec:
        return replace(layer, cross=layer.cross and biased(layer.cross))

    embedding = Embedding(config.size("vocab_size", 96103), Learned(config.size("max_position_embeddings", 4096)))
    found = bart_spec(config, embedding, PreNorm(LayerNorm(1e-5)), start=2)
    decoder = found.with_attentions(biased).with_layers(crossed)
    return replace(decoder, encoder=found.encoder and found.encoder.with_attentions(biased))
