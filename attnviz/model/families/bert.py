"""BERT (Devlin et al. 2019): an encoder with post-norms and learned positions; a causal one where ``is_decoder``."""

from __future__ import annotations

from attnviz.errors import ModelError
from attnviz.model.families import Config
from attnviz.model.forward import ACTIVATIONS
from attnviz.model.spec import CAUSAL, EVERYTHING, MLP, Attention, Embedding, Layer, LayerNorm, Learned, PostNorm, Spec

PREFIX = "bert."
SPELLINGS = {"gamma": "weight", "beta": "bias"}

NAMES = {
    "embeddings.word_embeddings.weight": "embed.tokens.weight",
    "embeddings.position_embeddings.weight": "embed.positions.weight",
    "embeddings.token_type_embeddings.weight": "embed.types.weight",
    "embeddings.LayerNorm.weight": "embed.norm.weight",
    "embeddings.LayerNorm.bias": "embed.norm.bias",
    "encoder.layer.{}.attention.self.query.weight": "layers.{}.attention.query.weight",
    "encoder.layer.{}.attention.self.query.bias": "layers.{}.attention.query.bias",
    "encoder.layer.{}.attention.self.key.weight": "layers.{}.attention.key.weight",
    "encoder.layer.{}.attention.self.key.bias": "layers.{}.attention.key.bias",
    "encoder.layer.{}.attention.self.value.weight": "layers.{}.attention.value.weight",
    "encoder.layer.{}.attention.self.value.bias": "layers.{}.attention.value.bias",
    "encoder.layer.{}.attention.output.dense.weight": "layers.{}.attention.output.weight",
    "encoder.layer.{}.attention.output.dense.bias": "layers.{}.attention.output.bias",
    "encoder.layer.{}.attention.output.LayerNorm.weight": "layers.{}.attention.norm.weight",
    "encoder.layer.{}.attention.output.LayerNorm.bias": "layers.{}.attention.norm.bias",
    "encoder.layer.{}.intermediate.dense.weight": "layers.{}.mlp.up.weight",
    "encoder.layer.{}.intermediate.dense.bias": "layers.{}.mlp.up.bias",
    "encoder.layer.{}.output.dense.weight": "layers.{}.mlp.down.weight",
    "encoder.layer.{}.output.dense.bias": "layers.{}.mlp.down.bias",
    "encoder.layer.{}.output.LayerNorm.weight": "layers.{}.mlp.norm.weight",
    "encoder.layer.{}.output.LayerNorm.bias": "layers.{}.mlp.norm.bias",
}


def spec(config: Config) -> Spec:
    """The facts of a BERT; absent attributes have the values of transformers' ``BertConfig``."""
    width, heads = config.size("hidden_size", 768), config.size("num_attention_heads", 12)
    if width % heads:
        raise ModelError(f"config.json: hidden_size {width} does not divide by num_attention_heads {heads}")
    config.expect("position_embedding_type", "absolute")
    config.expect("add_cross_attention", False)
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "chunk_size_feed_forward",
        "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type",
    )  # fmt: skip
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    layer = Layer(
        attention=Attention(
            heads=heads,
            kv_heads=heads,
            head_size=width // heads,
            scale=(width // heads) ** -0.5,
            reach=CAUSAL if config.expect("is_decoder", False, True) else EVERYTHING,
        ),
        mlp=MLP(config.size("intermediate_size", 3072), config.expect("hidden_act", *ACTIVATIONS)),
        norms=PostNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 30522),
            positions=Learned(config.size("max_position_embeddings", 512)),
            types=config.size("type_vocab_size", 2),
            norm=norm,
        ),
        layers=(layer,) * config.size("num_hidden_layers", 12),
    )
