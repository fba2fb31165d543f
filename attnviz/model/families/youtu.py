"""Youtu-LLM (Tencent 2025): a DeepSeek-V3 with one MLP in each layer."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import AttentionSpec, GatedMLP, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import decoder_spec, names_without
from attnviz.model.families.deepseek_v2 import latent_attention
from attnviz.model.families.deepseek_v3 import NAMES as DEEPSEEK_V3_NAMES

PREFIX = "model."

NAMES = names_without(DEEPSEEK_V3_NAMES, "expert", "mlp.gate.")


def spec(config: Config) -> Spec:
    """The facts of a Youtu-LLM; absent attributes have the values of transformers' ``YoutuConfig``."""
    config.ignore("embedding_initializer_range")
    attention = latent_attention(config, 16, interleaved=config.flag("rope_interleave", True), longest=131072)
    return latent_spec(config, attention, width=2048, inner=6144, layers=32, vocabulary=128256)


def latent_spec(
    config: Config,
    attention: AttentionSpec,
    *,
    width: int,
    inner: int,
    layers: int,
    vocabulary: int,
    eps: float = 1e-6,
    bias: bool = False,
) -> Spec:
    """The facts of a decoder with latents and one MLP in each layer; the arguments are defaults but the ``bias``."""
    config.decoder()
    config.ignore("head_dim", "pretraining_tp", "qk_head_dim")
    layer = LayerSpec(
        attention,
        GatedMLP(config.size("intermediate_size", inner), config.activation("hidden_act", "silu"), bias),
        PreNorm(RMSNorm(config.number("rms_norm_eps", eps))),
    )
    return decoder_spec(
        config, config.size("hidden_size", width), layer, vocabulary=vocabulary, layers=layers, tied=True
    )
