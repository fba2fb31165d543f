"""The architectures of decoders without experts."""

from __future__ import annotations

from collections.abc import Mapping

from attnviz.checkpoint.gguf.architecture import Architecture
from attnviz.checkpoint.gguf.names import (
    AFTER,
    BIASES,
    DECODER,
    EPSILON,
    PAIRS,
    PLUS_ONE,
    QK_NORMS,
    RMS,
    SANDWICH,
    SIZES,
)

_PLAIN_MLP = {"blk.{}.ffn_up": "model.layers.{}.mlp.c_fc", "blk.{}.ffn_down": "model.layers.{}.mlp.c_proj"}
_PHI = {
    "blk.{}.attn_output": "model.layers.{}.self_attn.dense",
    "blk.{}.ffn_up": "model.layers.{}.mlp.fc1",
    "blk.{}.ffn_down": "model.layers.{}.mlp.fc2",
    "output_norm": "model.final_layernorm",
}
_FALCON = {
    "token_embd": "transformer.word_embeddings",
    "blk.{}.attn_norm": "transformer.h.{}.input_layernorm",
    "blk.{}.attn_qkv": "transformer.h.{}.self_attention.query_key_value",
    "blk.{}.attn_output": "transformer.h.{}.self_attention.dense",
    "blk.{}.ffn_norm": "transformer.h.{}.post_attention_layernorm",
    "blk.{}.ffn_up": "transformer.h.{}.mlp.dense_h_to_4h",
    "blk.{}.ffn_down": "transformer.h.{}.mlp.dense_4h_to_h",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
}
_GPT2 = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "blk.{}.attn_norm": "transformer.h.{}.ln_1",
    "blk.{}.attn_qkv": "transformer.h.{}.attn.c_attn",
    "blk.{}.attn_output": "transformer.h.{}.attn.c_proj",
    "blk.{}.ffn_norm": "transformer.h.{}.ln_2",
    "blk.{}.ffn_up": "transformer.h.{}.mlp.c_fc",
    "blk.{}.ffn_down": "transformer.h.{}.mlp.c_proj",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
}
_NEOX = {
    "token_embd": "gpt_neox.embed_in",
    "blk.{}.attn_norm": "gpt_neox.layers.{}.input_layernorm",
    "blk.{}.attn_qkv": "gpt_neox.layers.{}.attention.query_key_value",
    "blk.{}.attn_output": "gpt_neox.layers.{}.attention.dense",
    "blk.{}.ffn_norm": "gpt_neox.layers.{}.post_attention_layernorm",
    "blk.{}.ffn_up": "gpt_neox.layers.{}.mlp.dense_h_to_4h",
    "blk.{}.ffn_down": "gpt_neox.layers.{}.mlp.dense_4h_to_h",
    "output_norm": "gpt_neox.final_layer_norm",
    "output": "embed_out",
}
_GEMMA_SIZES = {**RMS, "attention.sliding_window": "sliding_window", "final_logit_softcapping": None}

DECODERS: Mapping[str, Architecture] = {
    "arcee": Architecture("arcee", DECODER, RMS, flags=BIASES, stored=PAIRS),
    "bloom": Architecture(
        "bloom",
        {**_FALCON, "token_embd_norm": "transformer.word_embeddings_layernorm"},
        {
            **SIZES, "block_count": "n_layer", "attention.head_count": "n_head", "attention.head_count_kv": None,
            "context_length": None, "feed_forward_length": "n_inner", EPSILON: "layer_norm_epsilon",
        },
        stored={"attn_qkv": "apart"},
        turns=False,
    ),
    "cohere2": Architecture(
        "cohere2",
        DECODER,
        {
            **SIZES, EPSILON: "layer_norm_eps", "logit_scale": "logit_scale",
            "attention.sliding_window": "sliding_window",
        },
        {"sliding_window_pattern": 4},
    ),
    "command-r": Architecture(
        "cohere",
        {**DECODER, **QK_NORMS},
        {**SIZES, EPSILON: "layer_norm_eps", "logit_scale": "logit_scale"},
        flags={"use_qk_norm": "blk.0.attn_q_norm.weight", "attention_bias": "blk.0.attn_q.bias"},
    ),
    "exaone4": Architecture(
        "exaone4",
        {**DECODER, **QK_NORMS, **AFTER},
        {**RMS, "attention.sliding_window": "sliding_window"},
        {"sliding_window": None},
    ),
    "falcon": Architecture(
        "falcon",
        _FALCON,
        {
            **SIZES, "attention.head_count_kv": "num_kv_heads", "feed_forward_length": "ffn_hidden_size",
            EPSILON: "layer_norm_epsilon", "tensor_data_layout": None,
        },
        flags={"bias": "blk.0.attn_qkv.bias"},
        stored={"attn_qkv": "apart"},
        misread=True,
    ),
    "gemma": Architecture("gemma", DECODER, RMS, {"hidden_activation": "gelu_pytorch_tanh"}, stored=PLUS_ONE),
    "gemma2": Architecture(
        "gemma2",
        SANDWICH,
        {
            **_GEMMA_SIZES, "attn_logit_softcapping": "attn_logit_softcapping",
            "final_logit_softcapping": "final_logit_softcapping",
        },
        stored=PLUS_ONE,
    ),
    "gemma3": Architecture(
        "gemma3_text",
        {**SANDWICH, **QK_NORMS},
        {
            **_GEMMA_SIZES, "final_logit_softcapping": "final_logit_softcapping",
            "attention.sliding_window_pattern": "sliding_window_pattern",
        },
        stored=PLUS_ONE,
    ),
    "glm4": Architecture(
        "glm4",
        {
            **DECODER, "blk.{}.ffn_up": "model.layers.{}.mlp.gate_up_proj",
            "blk.{}.post_attention_norm": "model.layers.{}.post_self_attn_layernorm",
            "blk.{}.post_ffw_norm": "model.layers.{}.post_mlp_layernorm",
        },
        RMS,
        flags={"attention_bias": "blk.0.attn_q.bias"},
        turns="partly",
    ),
    "gpt2": Architecture(
        "gpt2",
        _GPT2,
        {
            "block_count": "n_layer", "context_length": "n_positions", "embedding_length": "n_embd",
            "feed_forward_length": "n_inner", "attention.head_count": "n_head", "attention.head_count_kv": None,
            EPSILON: "layer_norm_epsilon",
        },
        stored={f"{name}.weight": "transposed" for name in ("attn_qkv", "attn_output", "ffn_up", "ffn_down")},
        turns=False,
    ),
    "gptneox": Architecture(
        "gpt_neox",
        _NEOX,
        {
            **SIZES, "attention.head_count_kv": None, EPSILON: "layer_norm_eps",
            "use_parallel_residual": "use_parallel_residual",
        },
        flags={"attention_bias": "blk.0.attn_qkv.bias"},
        stored={"attn_qkv": "apart"},
        turns="partly",
    ),
    "granite": Architecture(
        "granite",
        DECODER,
        {
            **RMS, "attention.scale": "attention_multiplier", "residual_scale": "residual_multiplier",
            "embedding_scale": "embedding_multiplier", "logit_scale": "logits_scaling",
        },
        flags=BIASES,
        stored=PAIRS,
    ),
    "llama": Architecture("llama", DECODER, RMS, flags=BIASES, stored=PAIRS),
    "nemotron": Architecture(
        "nemotron",
        DECODER,
        {**SIZES, EPSILON: "norm_eps"},
        flags=BIASES,
        stored=PLUS_ONE,
        turns="partly",
    ),
    "olmo": Architecture(
        "olmo",
        DECODER,
        {**SIZES, EPSILON: None, "attention.clamp_kqv": "clip_qkv"},
        {"clip_qkv": None},
        flags={"attention_bias": "blk.0.attn_q.bias"},
        stored=PAIRS,
    ),
    "olmo2": Architecture("olmo2", {**DECODER, **QK_NORMS, **AFTER}, RMS),
    "phi2": Architecture("phi", {**DECODER, **_PHI}, {**SIZES, EPSILON: "layer_norm_eps"}, turns="partly"),
    "phi3": Architecture(
        "phi3",
        {
            **DECODER, "blk.{}.attn_qkv": "model.layers.{}.self_attn.qkv_proj",
            "blk.{}.ffn_up": "model.layers.{}.mlp.gate_up_proj",
        },
        {**RMS, "attention.sliding_window": "sliding_window"},
        turns="partly",
        misread=True,
    ),
    "qwen2": Architecture("qwen2", DECODER, RMS),
    "qwen3": Architecture("qwen3", {**DECODER, **QK_NORMS}, RMS, flags={"attention_bias": "blk.0.attn_q.bias"}),
    "seed_oss": Architecture("seed_oss", DECODER, RMS, flags={"attention_bias": "blk.0.attn_q.bias"}),
    "smollm3": Architecture("smollm3", DECODER, RMS, flags=BIASES, stored=PAIRS),
    "stablelm": Architecture(
        "stablelm",
        DECODER,
        {**SIZES, EPSILON: "layer_norm_eps", "use_parallel_residual": "use_parallel_residual"},
        flags={"use_qkv_bias": "blk.0.attn_q.bias"},
        turns="partly",
    ),
    "starcoder2": Architecture(
        "starcoder2", {**DECODER, **_PLAIN_MLP}, {**SIZES, EPSILON: "norm_epsilon"},
        {"hidden_act": "gelu_pytorch_tanh"}, flags={"use_bias": "blk.0.attn_q.bias"}, misread=True,
    ),
}  # fmt: skip

OLMO3 = Architecture(
    "olmo3",
    {**DECODER, **QK_NORMS, **AFTER},
    {**RMS, "attention.sliding_window": "sliding_window"},
)
"""Files of OLMo 3 say that they are OLMo 2, with a window."""
