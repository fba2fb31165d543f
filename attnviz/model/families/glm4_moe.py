"""GLM-4.5 (GLM Team 2025): a DeepSeek-V3 with grouped queries, which turn in half of their dimensions, for latents."""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import AttentionSpec, GatedMLP, QKNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, names_without
from attnviz.model.families.deepseek_v2 import deepseek_spec
from attnviz.model.families.deepseek_v3 import ATTRIBUTES as ATTRIBUTES
from attnviz.model.families.deepseek_v3 import NAMES as DEEPSEEK_V3_NAMES
from attnviz.model.families.deepseek_v3 import corrected_experts

PREFIX = "model."

NAMES = {
    **names_without(DEEPSEEK_V3_NAMES, "self_attn"),
    **names_without(DECODER_NAMES, "o_proj.bias"),
    **QK_NORM_NAMES,
}

DEFAULTS = {
    "glm4v_moe_text": {"vocab_size": 151424, "max_position_embeddings": 65536, "attention_bias": True},
}


def spec(config: Config) -> Spec:
    """The facts of a GLM-4.5; absent attributes have the values of transformers' ``Glm4MoeConfig``."""
    heads, width = config.size("num_attention_heads", 96), config.size("hidden_size", 4096)
    size = config.optional("head_dim") or width // heads
    size = (
        128 if size == 42 else size
    )  # by transformers' defaults 21 dimensions would turn; all published models have 128
    attention = AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads, 8),
        head_size=size,
        scale=size**-0.5,
        window=CAUSAL,
        position=rotary(config, size, partial=0.5, longest=131072),
        bias=config.flag("attention_bias"),
        output_bias=False,
        qk_norm=QKNorm(RMSNorm(config.number("rms_norm_eps", 1e-5))) if config.flag("use_qk_norm") else None,
    )
    experts = corrected_experts(config, 128, 1408)
    dense = GatedMLP(config.size("intermediate_size", 10944), experts.expert.activation)
    return deepseek_spec(config, width, attention, dense, experts, layers=46, vocabulary=151552, first=1, eps=1e-5)
