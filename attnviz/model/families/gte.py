"""GTE (Zhang et al. 2024): a BERT with rotary positions and gated MLPs.

Its kin, Nomic BERT and Jina's third embeddings, are called alike in transformers, and otherwise in files.
"""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import Embedding, GatedMLP, LayerNorm, PostNorm, Spec
from attnviz.model.families import DECODER_NAMES, Names, both, names_without
from attnviz.model.families.bert import bert_spec, pooled_classifier

PREFIX = "gte."
classifier = pooled_classifier(PREFIX)

_EMBEDDINGS: Names = {
    "embeddings.word_embeddings.weight": "embed.tokens.weight",
    "embeddings.token_type_embeddings.weight": "embed.types.weight",
    **both("embeddings.LayerNorm", "embed.norm"),
}
_IN_FILES: Names = {
    **both("encoder.layer.{}.attention.qkv_proj", "layers.{}.attention.qkv"),
    **both("encoder.layer.{}.attention.o_proj", "layers.{}.attention.output"),
    **both("encoder.layer.{}.attn_ln", "layers.{}.attention.norm"),
    "encoder.layer.{}.mlp.up_gate_proj.weight": "layers.{}.mlp.up_gate.weight",
    **both("encoder.layer.{}.mlp.down_proj", "layers.{}.mlp.down"),
    **both("encoder.layer.{}.mlp_ln", "layers.{}.mlp.norm"),
}

ROTARY_BERT_NAMES: Names = {
    **_EMBEDDINGS,
    **names_without(DECODER_NAMES, "norm", "embed_tokens", "lm_head"),
    **both("layers.{}.post_attention_layernorm", "layers.{}.attention.norm"),
    **both("layers.{}.post_mlp_layernorm", "layers.{}.mlp.norm"),
}
"""The names of GTE and its kin in transformers."""

NAMES = {
    **ROTARY_BERT_NAMES,
    "layers.{}.mlp.down_proj.bias": "layers.{}.mlp.down.bias",
    **_IN_FILES,
    # As they were called before transformers had the type.
    **{f"new.{theirs}": ours for theirs, ours in {**_EMBEDDINGS, **_IN_FILES}.items()},
}

DEFAULTS = {"gte": {"vocab_size": 250048, "max_position_embeddings": 8192, "type_vocab_size": 1}}


def spec(config: Config) -> Spec:
    """The facts of a GTE."""
    found = rotary_bert(config, theta=160_000.0)
    mlp = GatedMLP(found.layers[0].mlp.size, config.activation("hidden_act", "gelu"), down_bias=True)
    return found.with_layers(lambda layer: replace(layer, mlp=mlp))


def rotary_bert(config: Config, *, theta: float) -> Spec:
    """The facts of a BERT with rotary positions, whose base is ``theta`` by default."""
    heads = config.size("num_attention_heads", 12)
    width = config.size("hidden_size", 768)
    size = config.head_size(width, heads)
    config.only("is_decoder", False)
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    embedding = Embedding(config.size("vocab_size"), types=config.count("type_vocab_size", 2), norm=norm)
    turns = rotary(config, size, theta=theta, longest=config.size("max_position_embeddings"))
    return bert_spec(config, embedding, PostNorm(norm), head_size=size, position=turns)
