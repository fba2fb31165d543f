"""StableLM (Bellagente et al. 2024): a Llama with LayerNorms, rotary positions in a part of each head, and where
configured a norm of each head's queries and keys, or attention and MLP side by side.
"""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    GatedMLP,
    LayerNorm,
    LayerSpec,
    ParallelNorm,
    PreNorm,
    QKNorm,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, LAYER_NORM_NAMES, decoder_spec, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "o_proj.bias"),
    "layers.{}.self_attn.q_layernorm.norms.{}.weight": "layers.{}.attention.query_norm.weight",
    "layers.{}.self_attn.k_layernorm.norms.{}.weight": "layers.{}.attention.key_norm.weight",
    **LAYER_NORM_NAMES,
}


def spec(config: Config) -> Spec:
    """The facts of a StableLM; absent attributes have the values of transformers' ``StableLmConfig``."""
    config.decoder()
    heads = config.size("num_attention_heads", 32)
    width = config.width("hidden_size", 2560, heads)
    size, eps = width // heads, config.number("layer_norm_eps", 1e-5)
    norm = LayerNorm(eps)
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads, 32),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, partial=0.25, longest=4096),
            bias=config.flag("use_qkv_bias"),
            output_bias=False,
            qk_norm=QKNorm(LayerNorm(eps, bias=False), over="each") if config.flag("qk_layernorm") else None,
        ),
        mlp=GatedMLP(config.size("intermediate_size", 6912), config.activation("hidden_act", "silu")),
        norms=ParallelNorm(norm, shared=True) if config.flag("use_parallel_residual") else PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=50304, layers=32)
