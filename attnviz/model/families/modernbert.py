"""ModernBERT (Warner et al. 2024): pre-norms and rotary positions; most layers see a window to both sides."""

from __future__ import annotations

from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.errors import UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Classifier,
    Dense,
    Embedding,
    GatedMLP,
    LayerNorm,
    LayerSpec,
    PreNorm,
    Spec,
)
from attnviz.model.families import both

PREFIX = "model."

NAMES = {
    "embeddings.tok_embeddings.weight": "embed.tokens.weight",
    **both("embeddings.norm", "embed.norm"),
    **both("layers.{}.attn_norm", "layers.{}.attention.norm"),
    **both("layers.{}.attn.Wqkv", "layers.{}.attention.qkv"),
    **both("layers.{}.attn.Wo", "layers.{}.attention.output"),
    **both("layers.{}.mlp_norm", "layers.{}.mlp.norm"),
    **both("layers.{}.mlp.Wi", "layers.{}.mlp.gate_up"),
    **both("layers.{}.mlp.Wo", "layers.{}.mlp.down"),
    **both("final_norm", "norm"),
}


def spec(config: Config) -> Spec:
    """The facts of a ModernBERT; absent attributes have the values of transformers' ``ModernBertConfig``."""
    heads = config.size("num_attention_heads", 12)
    width = config.width("hidden_size", 768, heads)
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(
        "attention_dropout", "embedding_dropout", "mlp_dropout", "chunk_size_feed_forward", "classifier_activation",
        "classifier_bias", "classifier_dropout", "classifier_pooling", "decoder_bias", "deterministic_flash_attn",
        "initializer_cutoff_factor", "reference_compile", "repad_logits_with_grad",
        "sparse_pred_ignore_index", "sparse_prediction",
        "layer_norm_eps", "position_embedding_type",  # left from BERT's config: transformers reads neither
    )  # fmt: skip
    norm = LayerNorm(config.number("norm_eps", 1e-5), bias=config.flag("norm_bias"))
    mlp = GatedMLP(
        config.size("intermediate_size", 1152),
        config.activation("hidden_activation", "gelu"),
        bias=config.flag("mlp_bias"),
    )
    attentions = _attentions(config, heads, width // heads)
    return Spec(
        width=width,
        embedding=Embedding(vocabulary=config.size("vocab_size", 50368), norm=norm),
        # The first layer reads embeddings, which are normed.
        layers=tuple(
            LayerSpec(attentions[kind], mlp, PreNorm(norm, attention=i > 0)) for i, kind in enumerate(_kinds(config))
        ),
        final_norm=norm,
    )


def _kinds(config: Config) -> list[str]:
    """The kind of each layer: said by name today, by the step from global layer to global layer before."""
    count, every = config.size("num_hidden_layers", 22), config.size("global_attn_every_n_layers", 3)
    kinds = config.get("layer_types", None)
    if kinds is None:
        return ["sliding_attention" if i % every else "full_attention" for i in range(count)]
    if len(kinds) != count or set(kinds) - {"sliding_attention", "full_attention"}:
        raise UnsupportedModel(
            f"config.json: layer_types is {kinds!r}, expected full_attention or sliding_attention for {count} layers"
        )
    return list(kinds)


def _attentions(config: Config, heads: int, size: int) -> dict[str, AttentionSpec]:
    """The attention of each kind of layer. The angles of a window's layers have a smaller base."""
    bias = config.flag("attention_bias")
    beside = config.size("local_attention", 128) // 2
    facts = {
        "full_attention": (EVERYTHING, config.number("global_rope_theta", 160_000.0)),
        "sliding_attention": (KeyWindow(beside, beside), config.number("local_rope_theta", 10_000.0)),
    }
    return {
        kind: AttentionSpec(
            heads,
            heads,
            size,
            scale=size**-0.5,
            window=window,
            position=rotary(config, size, theta=theta, kind=kind),
            bias=bias,
            output_bias=bias,
        )
        for kind, (window, theta) in facts.items()
    }


def classifier(config: Config, *, each: bool) -> Classifier:
    """A linear map, an activation and a norm, then the labels: of each state, of the first, or of their mean."""
    pooling = config.expect("classifier_pooling", "cls", "mean")
    activation, eps = config.activation("classifier_activation", "gelu"), config.number("norm_eps", 1e-5)
    layers = (Dense("head.dense", activation, "head.norm", eps), Dense("classifier"))
    return Classifier(layers, "each" if each else "first" if pooling == "cls" else "mean")
