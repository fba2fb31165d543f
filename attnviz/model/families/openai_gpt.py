"""GPT (Radford et al. 2018): a decoder like GPT-2's, with post-norms."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    Learned,
    PostNorm,
    Spec,
)
from attnviz.model.families import names_without
from attnviz.model.families.gpt2 import ATTRIBUTES, PREFIX
from attnviz.model.families.gpt2 import NAMES as GPT2_NAMES

__all__ = ["ATTRIBUTES", "PREFIX", "spec"]

NAMES = {
    **names_without(GPT2_NAMES, "wte", "wpe", "ln_f"),
    "tokens_embed.weight": "embed.tokens.weight",
    "positions_embed.weight": "embed.positions.weight",
}

_ACTIVATIONS = {"gelu": "gelu_new", "relu": "relu", "silu": "silu", "swish": "swish"}
"""What its config means: its GELU is the approximation by a tanh."""


def spec(config: Config) -> Spec:
    """The facts of a GPT; absent attributes have the values of transformers' ``OpenAIGPTConfig``."""
    heads = config.size("n_head", 12)
    width = config.width("n_embd", 768, heads)
    size = width // heads
    config.decoder()
    config.ignore("n_ctx", "n_special", "predict_special_tokens", "attn_pdrop", "embd_pdrop", "resid_pdrop")
    norm = LayerNorm(config.number("layer_norm_epsilon", 1e-5))
    activation = _ACTIVATIONS[config.expect("afn", *_ACTIVATIONS)]
    attention = AttentionSpec(heads, heads, size, size**-0.5, CAUSAL)
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 40478), Learned(config.size("n_positions", 512))),
        layers=(LayerSpec(attention, MLP(4 * width, activation), PostNorm(norm)),) * config.size("n_layer", 12),
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )
