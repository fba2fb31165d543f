"""Parts of models that many families share, read from a config; the arguments are what a silent config means."""

from __future__ import annotations

from typing import Any

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import AttentionSpec, Classifier, Dense, Embedding, Head, LayerSpec, QKNorm, Spec

TOKEN_CLASSIFIER = Classifier((Dense("classifier"),))
"""The head that classifies each token, in most models."""

TWO_STACKS_CLASSIFIER = Classifier(
    (Dense("classification_head.dense", "tanh"), Dense("classification_head.out_proj")), "end"
)
"""The head that classifies a text which an encoder and a decoder have read, in all models (Lewis et al. 2020)."""


def last_token_classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """The heads of most decoders: scores of the last token, or of each."""
    return Classifier((Dense("score"),), "each" if each else "last")


def grouped_attention(
    config: Config,
    width: int,
    heads: int,
    kv_heads: int | None = None,
    *,
    size: int | None = None,
    bias: bool | None = None,
    qk_norm: QKNorm | None = None,
    **turns: Any,
) -> AttentionSpec:
    """The attention of Llama's kin, causal and rotary.

    Args:
        config: the config.
        width: the width of the model.
        heads: what a silent config means.
        kv_heads: likewise; None for as many as query heads.
        size: likewise that of a head; None for the ``width`` divided by the number of heads.
        bias: whether all four maps have biases; None if the config's ``attention_bias`` says it.
        qk_norm: the norm of queries and keys.
        turns: arguments of ``rotary``.
    """
    heads = config.size("num_attention_heads", heads)
    size = config.size("head_dim", size) if size else config.head_size(width, heads)
    bias = config.flag("attention_bias") if bias is None else bias
    return AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads, kv_heads),
        head_size=size,
        scale=size**-0.5,
        window=CAUSAL,
        position=rotary(config, size, **turns),
        bias=bias,
        output_bias=bias,
        qk_norm=qk_norm,
    )


def decoder_spec(
    config: Config, width: int, layer: LayerSpec, *, vocabulary: int, layers: int, tied: bool = False
) -> Spec:
    """The facts of a decoder whose layers are all alike, with their norm behind the last.

    ``vocabulary``, ``layers`` and whether the head is ``tied`` are what a config that is silent means.
    """
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", vocabulary)),
        layers=(layer,) * config.size("num_hidden_layers", layers),
        final_norm=layer.norms.norm,
        head=Head(tied=config.flag("tie_word_embeddings", tied)),
    )
