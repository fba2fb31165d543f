"""T5 (Raffel et al. 2020): an encoder–decoder with relative buckets, RMS norms and scores that are not scaled.

Its later versions have gated MLPs and a head of their own (Shazeer 2020); an encoder may also be published alone.
"""

from __future__ import annotations

from attnviz.attention.window import CAUSAL, EVERYTHING
from attnviz.errors import UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    GatedMLP,
    Head,
    LayerSpec,
    PreNorm,
    RelativeBuckets,
    RMSNorm,
    Spec,
)
from attnviz.model.families import Names

PREFIX = "transformer."

NAMES: Names = {
    # Configs do not say reliably whether the head is tied: it is where the checkpoint has no other.
    "lm_head.weight": "head.weight",
    "encoder.embed_tokens.weight": "encoder.embed.tokens.weight",
    "decoder.embed_tokens.weight": ("embed.tokens.weight", "encoder.embed.tokens.weight", "head.weight"),
    "shared.weight": ("embed.tokens.weight", "encoder.embed.tokens.weight", "head.weight"),
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "encoder.relative.weight",
    "encoder.block.{}.layer.0.SelfAttention.q.weight": "encoder.layers.{}.attention.query.weight",
    "encoder.block.{}.layer.0.SelfAttention.k.weight": "encoder.layers.{}.attention.key.weight",
    "encoder.block.{}.layer.0.SelfAttention.v.weight": "encoder.layers.{}.attention.value.weight",
    "encoder.block.{}.layer.0.SelfAttention.o.weight": "encoder.layers.{}.attention.output.weight",
    "encoder.block.{}.layer.0.layer_norm.weight": "encoder.layers.{}.attention.norm.weight",
    "encoder.block.{}.layer.1.DenseReluDense.wi_0.weight": "encoder.layers.{}.mlp.gate.weight",
    "encoder.block.{}.layer.1.DenseReluDense.wi_1.weight": "encoder.layers.{}.mlp.up.weight",
    "encoder.block.{}.layer.1.DenseReluDense.wi.weight": "encoder.layers.{}.mlp.up.weight",
    "encoder.block.{}.layer.1.DenseReluDense.wo.weight": "encoder.layers.{}.mlp.down.weight",
    "encoder.block.{}.layer.1.layer_norm.weight": "encoder.layers.{}.mlp.norm.weight",
    "encoder.final_layer_norm.weight": "encoder.norm.weight",
    "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "relative.weight",
    "decoder.block.{}.layer.0.SelfAttention.q.weight": "layers.{}.attention.query.weight",
    "decoder.block.{}.layer.0.SelfAttention.k.weight": "layers.{}.attention.key.weight",
    "decoder.block.{}.layer.0.SelfAttention.v.weight": "layers.{}.attention.value.weight",
    "decoder.block.{}.layer.0.SelfAttention.o.weight": "layers.{}.attention.output.weight",
    "decoder.block.{}.layer.0.layer_norm.weight": "layers.{}.attention.norm.weight",
    "decoder.block.{}.layer.1.EncDecAttention.q.weight": "layers.{}.cross.query.weight",
    "decoder.block.{}.layer.1.EncDecAttention.k.weight": "layers.{}.cross.key.weight",
    "decoder.block.{}.layer.1.EncDecAttention.v.weight": "layers.{}.cross.value.weight",
    "decoder.block.{}.layer.1.EncDecAttention.o.weight": "layers.{}.cross.output.weight",
    "decoder.block.{}.layer.1.layer_norm.weight": "layers.{}.cross.norm.weight",
    "decoder.block.{}.layer.2.DenseReluDense.wi_0.weight": "layers.{}.mlp.gate.weight",
    "decoder.block.{}.layer.2.DenseReluDense.wi_1.weight": "layers.{}.mlp.up.weight",
    "decoder.block.{}.layer.2.DenseReluDense.wi.weight": "layers.{}.mlp.up.weight",
    "decoder.block.{}.layer.2.DenseReluDense.wo.weight": "layers.{}.mlp.down.weight",
    "decoder.block.{}.layer.2.layer_norm.weight": "layers.{}.mlp.norm.weight",
    "decoder.final_layer_norm.weight": "norm.weight",
}

DEFAULTS = {"mt5": {
        "vocab_size": 250_112, "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu",
        "decoder_start_token_id": 0,
    }}  # fmt: skip


def spec(config: Config, *, shared: bool = True) -> Spec:
    """The facts of a T5; absent attributes have the values of transformers' ``T5Config``.

    ``shared``: one table of relative buckets serves all layers of the encoder, another those of the decoder.
    """
    config.expect("is_decoder", False)
    config.ignore("dropout_rate", "classifier_dropout", "n_positions", "scale_decoder_outputs", "architectures")
    layers = config.either("num_layers", "num_hidden_layers", 6)
    decoder_layers = config.size("num_decoder_layers", layers)
    encoder = _stack(config, layers, decoder=False, shared=shared)
    if not config.flag("is_encoder_decoder", True) or _is_encoder(config.get("architectures", ())):
        return encoder
    decoder = _stack(config, decoder_layers, decoder=True, shared=shared)
    return Spec(
        width=decoder.width,
        embedding=decoder.embedding,
        layers=decoder.layers,
        final_norm=decoder.final_norm,
        head=Head(tied=False, scale=decoder.width**-0.5 if _scales(config) else 1.0),
        encoder=encoder,
        start=config.get("decoder_start_token_id", None),
    )


def _scales(config: Config) -> bool:
    """Whether the scores of the next token are divided by √C: mT5 never does, uMT5 always does."""
    known = {"mt5": False, "umt5": True}
    return known.get(config.get("model_type", "t5"), config.flag("scale_decoder_outputs", _is_tied(config)))


def _is_tied(config: Config) -> bool:
    return config.get("tie_word_embeddings", True) is not False


def _is_encoder(architectures: list[str]) -> bool:
    """Whether the encoder was saved alone, which the other attributes need not say."""
    return any(name.endswith(("EncoderModel", "ForTokenClassification")) for name in architectures)


def _stack(config: Config, layers: int, *, decoder: bool, shared: bool) -> Spec:
    width = config.either("d_model", "hidden_size", 512)
    heads = config.either("num_heads", "num_attention_heads", 8)
    size = config.either("d_kv", "head_dim", 64)
    norm = RMSNorm(config.number("layer_norm_epsilon", 1e-6))
    buckets = RelativeBuckets(
        config.size("relative_attention_num_buckets", 32),
        config.size("relative_attention_max_distance", 128),
        bidirectional=not decoder,
        shared=shared,
    )
    window = CAUSAL if decoder else EVERYTHING
    attention = AttentionSpec(heads, heads, size, 1.0, window, buckets, bias=False, output_bias=False)
    cross = AttentionSpec(heads, heads, size, 1.0, EVERYTHING, bias=False, output_bias=False)
    layer = LayerSpec(attention, _mlp(config), PreNorm(norm), cross if decoder else None)
    return Spec(width, Embedding(config.size("vocab_size", 32128)), (layer,) * layers, final_norm=norm)


def _mlp(config: Config) -> MLP | GatedMLP:
    """``feed_forward_proj`` names the activation, behind "gated-" for a gated MLP; "gelu" then means its tanh form."""
    said = config.get("feed_forward_proj", "relu")
    gated, _, name = said.rpartition("-")
    if gated not in ("", "gated"):
        raise UnsupportedModel(f"config.json: feed_forward_proj is {said!r}; expected an activation, or gated-…")
    size = config.size("d_ff", 2048)
    activation = config.activation("dense_act_fn", "gelu_new" if said == "gated-gelu" else name)
    if config.flag("is_gated_act", gated == "gated"):
        return GatedMLP(size, activation)
    return MLP(size, activation, bias=False)
