"""GPT-NeoX (Black et al. 2022) and Pythia (Biderman et al. 2023): attention and MLP side by side behind a norm each,
rotary positions in a part of each head.
"""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    LayerNorm,
    LayerSpec,
    ParallelNorm,
    PreNorm,
    Spec,
)
from attnviz.model.families import Names, both, decoder_spec

PREFIX = "gpt_neox."
ATTRIBUTES = {"rotary_emb_base": "rope_theta", "rotary_pct": "partial_rotary_factor"}

NAMES: Names = {
    "embed_in.weight": "embed.tokens.weight",
    **both("layers.{}.input_layernorm", "layers.{}.attention.norm"),
    **both("layers.{}.attention.query_key_value", "layers.{}.attention.groups"),
    **both("layers.{}.attention.dense", "layers.{}.attention.output"),
    **both("layers.{}.post_attention_layernorm", "layers.{}.mlp.norm"),
    **both("layers.{}.mlp.dense_h_to_4h", "layers.{}.mlp.up"),
    **both("layers.{}.mlp.dense_4h_to_h", "layers.{}.mlp.down"),
    **both("final_layer_norm", "norm"),
    "embed_out.weight": "head.weight",
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a GPT-NeoX; absent attributes have the values of transformers' ``GPTNeoXConfig``."""
    heads = config.size("num_attention_heads", 64)
    width = config.width("hidden_size", 6144, heads)
    size, bias = width // heads, config.flag("attention_bias", True)
    config.decoder()
    config.ignore(
        "max_position_embeddings", "hidden_dropout", "classifier_dropout", "attention_probs_dropout_prob",
        "hidden_dropout_prob",
    )  # fmt: skip
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5))
    parallel = config.flag("use_parallel_residual", True)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads,
            heads,
            size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, partial=0.25),
            bias=bias,
            output_bias=bias,
        ),
        mlp=MLP(config.size("intermediate_size", 24576), config.activation("hidden_act", "gelu")),
        norms=ParallelNorm(norm, shared=False) if parallel else PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=50432, layers=44)
