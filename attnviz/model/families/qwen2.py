"""Qwen2 (Yang et al. 2024): a Llama with biases on queries, keys and values, and windows in the upper layers."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, GatedMLP, Head, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, grouped_attention, names_without

PREFIX = "model."

NAMES = names_without(DECODER_NAMES, "o_proj.bias")

_VL = {
    "vocab_size": 152064, "hidden_size": 8192, "intermediate_size": 29568, "num_hidden_layers": 80,
    "num_attention_heads": 64, "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "max_window_layers": 80,
    "rope_theta": 1e6,
}  # fmt: skip
DEFAULTS = {"qwen2_5_vl_text": _VL, "qwen2_vl_text": _VL}


def spec(config: Config) -> Spec:
    """The facts of a Qwen2; absent attributes have the values of transformers' ``Qwen2Config``."""
    config.decoder()
    config.expect("use_mrope", False)
    width = config.size("hidden_size", 4096)
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6))
    attention = replace(grouped_attention(config, width, 32, 32, bias=True, longest=32768), output_bias=False)
    mlp = GatedMLP(config.size("intermediate_size", 22016), config.activation("hidden_act", "silu"))
    layer_windows = config.upper_windows(config.size("num_hidden_layers", 32))
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 151936)),
        layers=tuple(LayerSpec(replace(attention, window=window), mlp, PreNorm(norm)) for window in layer_windows),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )
