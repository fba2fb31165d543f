"""DistilBERT (Sanh et al. 2019): BERT's layers, half as many of them, without token types."""

from __future__ import annotations

from attnviz.attention.window import EVERYTHING
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Classifier,
    Dense,
    Embedding,
    LayerNorm,
    LayerSpec,
    Learned,
    PostNorm,
    Spec,
)
from attnviz.model.families import TOKEN_CLASSIFIER, both

PREFIX = "distilbert."

NAMES = {
    "embeddings.word_embeddings.weight": "embed.tokens.weight",
    "embeddings.position_embeddings.weight": "embed.positions.weight",
    **both("embeddings.LayerNorm", "embed.norm"),
    **both("transformer.layer.{}.attention.q_lin", "layers.{}.attention.query"),
    **both("transformer.layer.{}.attention.k_lin", "layers.{}.attention.key"),
    **both("transformer.layer.{}.attention.v_lin", "layers.{}.attention.value"),
    **both("transformer.layer.{}.attention.out_lin", "layers.{}.attention.output"),
    **both("transformer.layer.{}.sa_layer_norm", "layers.{}.attention.norm"),
    **both("transformer.layer.{}.ffn.lin1", "layers.{}.mlp.up"),
    **both("transformer.layer.{}.ffn.lin2", "layers.{}.mlp.down"),
    **both("transformer.layer.{}.output_layer_norm", "layers.{}.mlp.norm"),
}


def spec(config: Config) -> Spec:
    """The facts of a DistilBERT; absent attributes have the values of transformers' ``DistilBertConfig``.

    Its config has names of its own for three sizes, and transformers takes the usual ones too.
    """
    heads = config.size("n_heads", config.size("num_attention_heads", 12))
    width = config.width("dim", config.size("hidden_size", 768), heads)
    layers = config.size("n_layers", config.size("num_hidden_layers", 6))
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(
        "dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout", "chunk_size_feed_forward", "tie_weights_",
        "sinusoidal_pos_embds",  # what the table of positions begins with: the checkpoint has it
    )  # fmt: skip
    norm = LayerNorm(1e-12)
    layer = LayerSpec(
        attention=AttentionSpec(heads, heads, width // heads, scale=(width // heads) ** -0.5, window=EVERYTHING),
        mlp=MLP(config.size("hidden_dim", 3072), config.activation("activation", "gelu")),
        norms=PostNorm(norm),
    )
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 30522),
            positions=Learned(config.size("max_position_embeddings", 512)),
            norm=norm,
        ),
        layers=(layer,) * layers,
    )


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """A linear map of the first token's state and a ReLU, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    layers = (Dense("pre_classifier", "relu"), Dense("classifier"))
    return Classifier(layers, "first")
