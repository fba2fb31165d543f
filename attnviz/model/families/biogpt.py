"""BioGPT (Luo et al. 2022): a decoder with pre-norms and learned positions that begin at row 2."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Classifier,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    Learned,
    PreNorm,
    Spec,
)
from attnviz.model.families import TOKEN_CLASSIFIER, last_token_classifier
from attnviz.model.families.xglm import NAMES as XGLM_NAMES

PREFIX = "biogpt."

NAMES = {
    **XGLM_NAMES,
    "embed_positions.weight": "embed.positions.weight",
    "output_projection.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a BioGPT; absent attributes have the values of transformers' ``BioGptConfig``."""
    heads = config.size("num_attention_heads", 16)
    width = config.width("hidden_size", 1024, heads)
    size = width // heads
    config.decoder()
    config.ignore(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "activation_dropout", "classifier_dropout", "layerdrop",
        "layer_norm_eps",  # no norm reads it
    )  # fmt: skip
    attention = AttentionSpec(heads, heads, size, size**-0.5, CAUSAL)
    mlp = MLP(config.size("intermediate_size", 4096), config.activation("hidden_act", "gelu"))
    norm = LayerNorm(1e-5)
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 42384),
            positions=Learned(config.size("max_position_embeddings", 1024), offset=2),
            scale=width**0.5 if config.flag("scale_embedding", True) else 1.0,
        ),
        layers=(LayerSpec(attention, mlp, PreNorm(norm)),) * config.size("num_hidden_layers", 24),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )


def classifier(config: Config, *, each: bool) -> Classifier:
    """Scores of the last token, or labels of each."""
    return TOKEN_CLASSIFIER if each else last_token_classifier(config, each=each)
