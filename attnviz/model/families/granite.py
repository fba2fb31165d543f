"""Granite (Granite Team 2024): a Llama whose embeddings, scores and sublayers are multiplied by numbers of its config,
after Yang et al. 2022 ("Tensor Programs V").
"""

from __future__ import annotations

from dataclasses import replace

from attnviz.errors import ModelError
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, GatedMLP, Head, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import grouped_attention
from attnviz.model.families.llama import NAMES as LLAMA_NAMES

PREFIX = "model."

NAMES = LLAMA_NAMES

DEFAULTS = {
    "granite_docling_text": {
        "vocab_size": 133800, "hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 4, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True, "embedding_multiplier": 12.0, "logits_scaling": 4.0, "residual_multiplier": 0.263,
        "attention_multiplier": 0.015625,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Granite; absent attributes have the values of transformers' ``GraniteConfig``."""
    config.decoder()
    width = config.size("hidden_size", 4096)
    scaling = config.number("logits_scaling", 1.0)
    if not scaling:
        raise ModelError("config.json: logits_scaling is 0, expected what the next token's scores can be divided by")
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6))
    layer = LayerSpec(
        attention=replace(grouped_attention(config, width, 32), scale=config.number("attention_multiplier", 1.0)),
        mlp=GatedMLP(
            config.size("intermediate_size", 11008), config.activation("hidden_act", "silu"), config.flag("mlp_bias")
        ),
        norms=PreNorm(norm),
        residual=config.number("residual_multiplier", 1.0),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 32000), scale=config.number("embedding_multiplier", 1.0)),
        layers=(layer,) * config.size("num_hidden_layers", 32),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings"), scale=1 / scaling),
    )
