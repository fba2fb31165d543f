"""Command R (Cohere 2024): attention and MLP side by side behind one norm without bias, interleaved rotary positions,
and where configured a norm of each head's queries and keys.
"""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, GatedMLP, Head, LayerNorm, LayerSpec, ParallelNorm, QKNorm, Spec
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, grouped_attention, names_without

PREFIX = "model."

NAMES = {**names_without(DECODER_NAMES, "post_attention_layernorm"), **QK_NORM_NAMES}


def spec(config: Config) -> Spec:
    """The facts of a Command R; absent attributes have the values of transformers' ``CohereConfig``."""
    config.decoder()
    width = config.size("hidden_size", 8192)
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5), bias=False)
    layer = LayerSpec(
        attention=grouped_attention(
            config,
            width,
            64,
            qk_norm=QKNorm(norm, over="each") if config.flag("use_qk_norm") else None,
            theta=500_000.0,
            longest=8192,
            interleaved=True,
        ),
        mlp=GatedMLP(config.size("intermediate_size", 22528), config.activation("hidden_act", "silu")),
        norms=ParallelNorm(norm, shared=True),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 256000)),
        layers=(layer,) * config.size("num_hidden_layers", 40),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", default=True), scale=config.number("logit_scale", 0.0625)),
    )
