"""Llama (Touvron et al. 2023): a decoder with RMS pre-norms, rotary positions, shared key-value heads and a gated MLP.

The windows and the layers without rotary positions are those of model types that are a Llama otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import (
    AttentionSpec,
    Embedding,
    GatedMLP,
    Head,
    LayerSpec,
    PreNorm,
    RMSNorm,
    Rotary,
    Spec,
)
from attnviz.model.families import DECODER_NAMES, both

PREFIX = "model."

NAMES = {
    **DECODER_NAMES,
    **both("layers.{}.mlp.gate_proj", "layers.{}.mlp.gate"),
    **both("layers.{}.mlp.up_proj", "layers.{}.mlp.up"),
    **both("layers.{}.mlp.down_proj", "layers.{}.mlp.down"),
}

_MISTRAL = {
    "intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072, "sliding_window": 4096,
    "use_sliding_window": True,
}  # fmt: skip
DEFAULTS = {
    "internlm3": {
        "vocab_size": 128512, "intermediate_size": 10240, "num_hidden_layers": 48, "num_key_value_heads": 2,
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-5, "head_dim": 128,
    },
    "iquestcoder": {
        "vocab_size": 76800, "hidden_size": 5120, "intermediate_size": 27648, "num_hidden_layers": 80,
        "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
    },
    "ministral": _MISTRAL,
    "mistral": _MISTRAL,
    "seed_oss": {
        "vocab_size": 155136, "intermediate_size": 27648, "num_hidden_layers": 64, "num_attention_heads": 80,
        "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 524288, "attention_bias": True,
        "attention_out_bias": False,
    },
    "smollm3": {
        "vocab_size": 128256, "hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16,
        "num_key_value_heads": 4, "max_position_embeddings": 32768, "rope_theta": 2e6, "no_rope_layer_interval": 4,
        "tie_word_embeddings": True,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a Llama; absent attributes have the values of transformers' ``LlamaConfig``."""
    return llama_spec(config)


def llama_spec(config: Config, turn: Callable[[Config, int], Rotary] = rotary) -> Spec:
    """The facts of Llama's kin; ``turn`` reads the rotary positions for heads of a size."""
    config.decoder()
    config.ignore("is_llama_config", "max_window_layers", "residual_dropout")
    config.expect("clip_qkv", None)
    config.only("rope_interleaved", False)
    heads, width = config.size("num_attention_heads", 32), config.size("hidden_size", 4096)
    size = config.head_size(width, heads)
    bias = config.flag("attention_bias")
    config.expect("qkv_bias", bias)  # InternLM3's first name of it
    norm = RMSNorm(config.number("rms_norm_eps", 1e-6))
    attention = AttentionSpec(
        heads=heads,
        kv_heads=config.kv_heads(heads),
        head_size=size,
        scale=size**-0.5,
        window=CAUSAL,
        position=turn(config, size),
        bias=bias,
        output_bias=config.flag("attention_out_bias", bias),
    )
    mlp = GatedMLP(
        config.size("intermediate_size", 11008), config.activation("hidden_act", "silu"), config.flag("mlp_bias")
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 32000)),
        layers=tuple(LayerSpec(each, mlp, PreNorm(norm)) for each in _attentions(config, attention)),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )


def _attentions(config: Config, attention: AttentionSpec) -> tuple[AttentionSpec, ...]:
    """The attention of each layer, with its own reach, rotary or not.

    Of a Llama itself every layer turns and sees all, also where its config has a ``sliding_window``: transformers
    does not look at it there, but in the model types whose configs default to ``use_sliding_window``.
    """
    count = config.size("num_hidden_layers", 32)
    interval = config.optional("no_rope_layer_interval")
    turns = config.each("no_rope_layers", [interval is None or (i + 1) % interval for i in range(count)])
    window = config.optional("sliding_window")
    slides = config.flag("use_sliding_window") and window is not None
    kinds = ["sliding_attention" if slides and (interval is None or not turn) else "full_attention" for turn in turns]
    return tuple(
        replace(attention, window=window, position=attention.position if turn else None)
        for window, turn in zip(config.layer_windows(window if slides else None, kinds), turns, strict=True)
    )
