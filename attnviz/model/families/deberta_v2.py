"""DeBERTa-v2 and -v3 (He et al. 2021 and 2023): BERT's layers whose contents and relative positions attend apart."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import EVERYTHING
from attnviz.errors import UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Classifier,
    Convolution,
    Dense,
    Disentangled,
    Embedding,
    LayerNorm,
    LayerSpec,
    Learned,
    PostNorm,
    Spec,
)
from attnviz.model.families import TOKEN_CLASSIFIER, Names, both

PREFIX = "deberta."

NAMES: Names = {
    "embeddings.word_embeddings.weight": "embed.tokens.weight",
    "embeddings.position_embeddings.weight": "embed.positions.weight",
    "embeddings.token_type_embeddings.weight": "embed.types.weight",
    **both("embeddings.LayerNorm", "embed.norm"),
    "encoder.rel_embeddings.weight": "relative.weight",
    **both("encoder.LayerNorm", "relative.norm"),
    **both("encoder.layer.{}.attention.self.query_proj", "layers.{}.attention.query"),
    **both("encoder.layer.{}.attention.self.key_proj", "layers.{}.attention.key"),
    **both("encoder.layer.{}.attention.self.value_proj", "layers.{}.attention.value"),
    **both("encoder.layer.{}.attention.self.pos_query_proj", "layers.{}.attention.position_query"),
    **both("encoder.layer.{}.attention.self.pos_key_proj", "layers.{}.attention.position_key"),
    **both("encoder.layer.{}.attention.output.dense", "layers.{}.attention.output"),
    **both("encoder.layer.{}.attention.output.LayerNorm", "layers.{}.attention.norm"),
    **both("encoder.layer.{}.intermediate.dense", "layers.{}.mlp.up"),
    **both("encoder.layer.{}.output.dense", "layers.{}.mlp.down"),
    **both("encoder.layer.{}.output.LayerNorm", "layers.{}.mlp.norm"),
    **both("encoder.conv.conv", "layers.0.convolution"),
    **both("encoder.conv.LayerNorm", "layers.0.convolution.norm"),
}


def spec(config: Config) -> Spec:
    """The facts of a DeBERTa-v2; absent attributes have the values of transformers' ``DebertaV2Config``."""
    heads = config.size("num_attention_heads", 24)
    width = config.width("hidden_size", 1536, heads)
    config.expect("attention_head_size", width // heads)
    config.expect("embedding_size", width)
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "chunk_size_feed_forward", "cls_dropout", "legacy",
        "padding_idx", "pooler_dropout", "pooler_hidden_act", "pooler_hidden_size", "pooling",
    )  # fmt: skip
    norm = LayerNorm(config.number("layer_norm_eps", 1e-7))
    kinds = _kinds(config)
    longest = config.size("max_position_embeddings", 512)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads,
            heads,
            width // heads,
            # The scores are sums of as many products, also where there are no relative positions.
            scale=(width // heads * (1 + len(kinds))) ** -0.5,
            window=EVERYTHING,
            position=_position(config, kinds, longest, norm),
        ),
        mlp=MLP(config.size("intermediate_size", 6144), config.activation("hidden_act", "gelu")),
        norms=PostNorm(norm),
    )
    first = replace(layer, convolution=_convolution(config, width, norm))
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 128100),
            positions=Learned(longest) if config.flag("position_biased_input", True) else None,
            types=config.count("type_vocab_size", 0),
            norm=norm,
        ),
        layers=(first, *(layer,) * (config.size("num_hidden_layers", 24) - 1)),
    )


def _kinds(config: Config) -> frozenset[str]:
    """Which of contents and positions look at the other: a list, or a text with bars in older configs."""
    said = config.get("pos_att_type", [])
    kinds = frozenset(kind.strip() for kind in said.lower().split("|")) if isinstance(said, str) else frozenset(said)
    if kinds - {"c2p", "p2c"}:
        raise UnsupportedModel(f"config.json: pos_att_type is {said!r}; our forward pass knows 'c2p' and 'p2c'")
    return kinds


def _position(config: Config, kinds: frozenset[str], longest: int, norm: LayerNorm) -> Disentangled | None:
    shared, normed = config.flag("share_att_key"), config.get("norm_rel_ebd", "none")
    farthest = int(config.number("max_relative_positions", -1))
    buckets = int(config.number("position_buckets", -1))
    if not config.flag("relative_attention") or not kinds:
        return None
    farthest = farthest if farthest > 0 else longest
    return Disentangled(
        span=buckets if buckets > 0 else farthest,
        max_distance=farthest if buckets > 0 else None,
        content_to_position="c2p" in kinds,
        position_to_content="p2c" in kinds,
        shared=shared,
        norm=norm if "layer_norm" in [part.strip() for part in normed.lower().split("|")] else None,
    )


def _convolution(config: Config, width: int, norm: LayerNorm) -> Convolution | None:
    size, groups = config.count("conv_kernel_size", 0), config.size("conv_groups", 1)
    activation = config.activation("conv_act", "tanh")
    if not size:
        return None
    if size % 2 == 0 or width % groups:
        raise UnsupportedModel(
            f"config.json: conv_kernel_size is {size} and conv_groups is {groups}; our forward pass knows odd sizes, "
            f"and groups that divide the width {width}"
        )
    return Convolution(size, groups, activation, norm)


def classifier(config: Config, *, each: bool) -> Classifier:
    """A linear map of the first token's state and an activation, then the labels."""
    if each:
        return TOKEN_CLASSIFIER
    layers = (Dense("pooler.dense", config.activation("pooler_hidden_act", "gelu")), Dense("classifier"))
    return Classifier(layers, "first")
