"""CTRL (Keskar et al. 2019): a decoder with pre-norms and sinusoidal positions."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Classifier,
    Dense,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    PreNorm,
    Sinusoidal,
    Spec,
)
from attnviz.model.families import Names, both
from attnviz.model.families.gpt2 import ATTRIBUTES, PREFIX

__all__ = ["ATTRIBUTES", "PREFIX"]

NAMES: Names = {
    "w.weight": "embed.tokens.weight",
    **both("h.{}.layernorm1", "layers.{}.attention.norm"),
    **both("h.{}.multi_head_attention.Wq", "layers.{}.attention.query"),
    **both("h.{}.multi_head_attention.Wk", "layers.{}.attention.key"),
    **both("h.{}.multi_head_attention.Wv", "layers.{}.attention.value"),
    **both("h.{}.multi_head_attention.dense", "layers.{}.attention.output"),
    **both("h.{}.layernorm2", "layers.{}.mlp.norm"),
    **both("h.{}.ffn.0", "layers.{}.mlp.up"),
    **both("h.{}.ffn.2", "layers.{}.mlp.down"),
    **both("layernorm", "norm"),
    **both("lm_head", "head"),
}


def spec(config: Config) -> Spec:
    """The facts of a CTRL; absent attributes have the values of transformers' ``CTRLConfig``."""
    heads = config.size("n_head", 16)
    width = config.width("n_embd", 1280, heads)
    size = width // heads
    config.decoder()
    config.expect("pruned_heads", {})
    config.ignore("n_ctx", "attn_pdrop", "embd_pdrop", "resid_pdrop", "from_tf")
    layer = LayerSpec(
        AttentionSpec(heads, heads, size, size**-0.5, CAUSAL),
        MLP(config.size("dff", 8192), "relu"),
        PreNorm(LayerNorm(1e-6)),
    )
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 246534),
            positions=Sinusoidal(config.size("n_positions", 256), rounded=True),
            scale=width**0.5,
        ),
        layers=(layer,) * config.size("n_layer", 48),
        final_norm=LayerNorm(config.number("layer_norm_epsilon", 1e-6)),
        head=Head(tied=config.flag("tie_word_embeddings", True), bias=True),
    )


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """Labels of the last token, or of each."""
    return Classifier((Dense("classifier"),), "each" if each else "last")
