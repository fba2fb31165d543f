"""XGLM (Lin et al. 2022): BART's decoder alone, with pre-norms and sinusoidal positions."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.errors import UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    PreNorm,
    Sinusoidal,
    Spec,
)
from attnviz.model.families import names_without
from attnviz.model.families.bart import NAMES as BART_NAMES

PREFIX = "model."
ATTRIBUTES = {"hidden_size": "d_model", "num_attention_heads": "attention_heads", "num_hidden_layers": "num_layers"}

NAMES = {
    **{
        name.removeprefix("decoder."): ours
        for name, ours in names_without(BART_NAMES, "encoder", "embed").items()
        if name.startswith("decoder.")
    },
    "embed_tokens.weight": "embed.tokens.weight",
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of an XGLM; absent attributes have the values of transformers' ``XGLMConfig``."""
    heads = config.size("attention_heads", 16)
    width = config.width("d_model", 1024, heads)
    size = width // heads
    config.decoder()
    config.ignore("dropout", "activation_dropout", "layerdrop", "init_std")
    padding = config.count("pad_token_id", 1)
    if padding > 1:  # its row of the positions is zero, and rows from 2 on are of positions
        raise UnsupportedModel(f"config.json: pad_token_id is {padding}; our forward pass knows 0 and 1")
    attention = AttentionSpec(heads, heads, size, size**-0.5, CAUSAL)
    mlp = MLP(config.size("ffn_dim", 4096), config.activation("activation_function", "gelu"))
    norm = LayerNorm(1e-5)
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 256008),
            positions=Sinusoidal(config.size("max_position_embeddings", 2048), whole=True, offset=2),
            scale=width**0.5 if config.flag("scale_embedding", True) else 1.0,
        ),
        layers=(LayerSpec(attention, mlp, PreNorm(norm)),) * config.size("num_layers", 24),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )
