"""gpt-oss (OpenAI 2025): experts, a window in every other layer, and in each softmax a sink that takes its share."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, Experts, GatedMLP, Head, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, both, grouped_attention, names_without

PREFIX = "model."
ATTRIBUTES = {"num_experts": "num_local_experts"}
DEFAULTS = {
    "gpt_oss": {
        "rope_parameters": {
            "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
            "original_max_position_embeddings": 4096,
        }
    }
}  # fmt: skip

NAMES = {
    **names_without(DECODER_NAMES, ".mlp."),
    "layers.{}.self_attn.sinks": "layers.{}.attention.sinks",
    **both("layers.{}.mlp.router", "layers.{}.mlp.router"),
    "layers.{}.mlp.experts.gate_up_proj": "layers.{}.mlp.experts.gate_up_pairs.weight.T",
    "layers.{}.mlp.experts.gate_up_proj_bias": "layers.{}.mlp.experts.gate_up_pairs.bias",
    "layers.{}.mlp.experts.down_proj": "layers.{}.mlp.experts.down.weight.T",
    "layers.{}.mlp.experts.down_proj_bias": "layers.{}.mlp.experts.down.bias",
}


def spec(config: Config) -> Spec:
    """The facts of a gpt-oss; absent attributes have the values of transformers' ``GptOssConfig``."""
    config.decoder()
    config.ignore("hidden_act", "initial_context_length", "experts_per_token")
    config.only("swiglu_alpha", 1.702)  # that of quick_gelu
    width = config.size("hidden_size", 2880)
    bias = config.flag("attention_bias", True)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5), once=True)
    attention = replace(
        grouped_attention(config, width, 64, 8, size=64, bias=bias, theta=150_000.0, longest=131072), sinks=True
    )
    expert = GatedMLP(
        config.size("intermediate_size", 2880), "quick_gelu", True, config.number("swiglu_limit", 7.0), offset=1.0
    )
    experts = Experts(expert, *config.experts("num_local_experts", 128, 4), shares="chosen", bias=True)
    kinds = ["full_attention" if i % 2 else "sliding_attention" for i in range(config.size("num_hidden_layers", 36))]
    windows = config.layer_windows(config.optional("sliding_window", 128), kinds)
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 201088)),
        layers=tuple(LayerSpec(replace(attention, window=window), experts, PreNorm(norm)) for window in windows),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )
