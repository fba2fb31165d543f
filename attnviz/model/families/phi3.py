"""Phi-3 (Abdin et al. 2024): a Llama with fused projections, a window and LongRoPE."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import AttentionSpec, GatedMLP, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import decoder_spec

PREFIX = "model."

NAMES = {
    "embed_tokens.weight": "embed.tokens.weight",
    "layers.{}.self_attn.qkv_proj.weight": "layers.{}.attention.qkv.weight",
    "layers.{}.self_attn.o_proj.weight": "layers.{}.attention.output.weight",
    "layers.{}.input_layernorm.weight": "layers.{}.attention.norm.weight",
    "layers.{}.mlp.gate_up_proj.weight": "layers.{}.mlp.gate_up.weight",
    "layers.{}.mlp.down_proj.weight": "layers.{}.mlp.down.weight",
    "layers.{}.post_attention_layernorm.weight": "layers.{}.mlp.norm.weight",
    "norm.weight": "norm.weight",
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a Phi-3; absent attributes have the values of transformers' ``Phi3Config``."""
    config.decoder()
    config.ignore("embd_pdrop", "resid_pdrop")
    for name in ("attention_bias", "lm_head_bias", "mlp_bias"):  # said by some configs, of tensors that there never are
        config.expect(name, False)
    config.expect("full_attn_mod", 1)
    config.expect("interpolate_factor", 1)
    heads, width = config.size("num_attention_heads", 32), config.size("hidden_size", 3072)
    size = config.head_size(width, heads)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    # LongRoPE was published as "su", and is what these models mean by "yarn".
    position = rotary(
        config, size, partial=1.0, longest=4096, original=4096, spellings={"su": "longrope", "yarn": "longrope"}
    )
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads),
            head_size=size,
            scale=size**-0.5,
            window=config.window(),
            position=position,
            bias=False,
            output_bias=False,
        ),
        mlp=GatedMLP(config.size("intermediate_size", 8192), config.activation("hidden_act", "silu")),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=32064, layers=32)
