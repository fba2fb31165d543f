"""What GGUF files call the sizes and tensors of each architecture, and which tensors they store otherwise.

The names on the left are those of llama.cpp's converter, those on the right are transformers'. ``{}`` is the layer, and
a second one the expert; ``.weight`` and ``.bias`` follow both. Sources: the specification, the name maps of the package
``gguf``, and what llama.cpp's converter does to a checkpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Stored = Literal["pairs", "transposed", "plus one", "apart"]
"""How a tensor is stored, where that is not as in transformers:

- ``pairs``: of each head the rows that rotate together are neighbours, which transformers has half a head apart;
- ``transposed``: with rows and columns exchanged;
- ``plus one``: of a norm that multiplies by 1 + weight, with the 1 added;
- ``apart``: all queries, then all keys, then all values, which transformers has by key-value head.
"""


@dataclass(frozen=True)
class Architecture:
    """How the files of one architecture describe a model.

    Args:
        model_type: transformers' name of the type of model.
        names: the tensors' names, {GGUF's: transformers'}.
        attributes: the settings' names, {GGUF's: transformers'}; None for a setting on which nothing depends.
        facts: the attributes that no setting says, of all files.
        flags: the attributes that are true if the file has a tensor: {attribute: tensor}.
        stored: how tensors are stored otherwise: {the end of their name: how}.
        turns: whether it has rotary positions, and ``"partly"`` where a part of each head may turn.
        misread: whether transformers can't load some of these files, or reads them otherwise: in the check its
            model gets our tensors.
    """

    model_type: str
    names: Mapping[str, str]
    attributes: Mapping[str, str | None]
    facts: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, Stored] = field(default_factory=dict)
    turns: bool | Literal["partly"] = True
    misread: bool = False


_SIZES: Mapping[str, str | None] = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
}
_RMS = {**_SIZES, "attention.layer_norm_rms_epsilon": "rms_norm_eps"}
_EPSILON = "attention.layer_norm_epsilon"

_DECODER = {
    "token_embd": "model.embed_tokens",
    "blk.{}.attn_norm": "model.layers.{}.input_layernorm",
    "blk.{}.attn_q": "model.layers.{}.self_attn.q_proj",
    "blk.{}.attn_k": "model.layers.{}.self_attn.k_proj",
    "blk.{}.attn_v": "model.layers.{}.self_attn.v_proj",
    "blk.{}.attn_output": "model.layers.{}.self_attn.o_proj",
    "blk.{}.ffn_norm": "model.layers.{}.post_attention_layernorm",
    "blk.{}.ffn_gate": "model.layers.{}.mlp.gate_proj",
    "blk.{}.ffn_up": "model.layers.{}.mlp.up_proj",
    "blk.{}.ffn_down": "model.layers.{}.mlp.down_proj",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_QK_NORMS = {
    "blk.{}.attn_q_norm": "model.layers.{}.self_attn.q_norm",
    "blk.{}.attn_k_norm": "model.layers.{}.self_attn.k_norm",
}
_AFTER = {
    "blk.{}.post_attention_norm": "model.layers.{}.post_attention_layernorm",
    "blk.{}.post_ffw_norm": "model.layers.{}.post_feedforward_layernorm",
}
_SANDWICH = {**_DECODER, **_AFTER, "blk.{}.ffn_norm": "model.layers.{}.pre_feedforward_layernorm"}
_EXPERTS = {
    "blk.{}.ffn_gate_inp": "model.layers.{}.mlp.gate",
    "blk.{}.ffn_gate_exps": "model.layers.{}.mlp.experts.{}.gate_proj",
    "blk.{}.ffn_up_exps": "model.layers.{}.mlp.experts.{}.up_proj",
    "blk.{}.ffn_down_exps": "model.layers.{}.mlp.experts.{}.down_proj",
}
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
_BERT = {
    "token_embd": "embeddings.word_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
    "blk.{}.attn_q": "encoder.layer.{}.attention.self.query",
    "blk.{}.attn_k": "encoder.layer.{}.attention.self.key",
    "blk.{}.attn_v": "encoder.layer.{}.attention.self.value",
    "blk.{}.attn_output": "encoder.layer.{}.attention.output.dense",
    "blk.{}.attn_output_norm": "encoder.layer.{}.attention.output.LayerNorm",
    "blk.{}.ffn_up": "encoder.layer.{}.intermediate.dense",
    "blk.{}.ffn_down": "encoder.layer.{}.output.dense",
    "blk.{}.layer_output_norm": "encoder.layer.{}.output.LayerNorm",
}

_PAIRS: Mapping[str, Stored] = {"attn_q": "pairs", "attn_k": "pairs"}
_PLUS_ONE: Mapping[str, Stored] = {"norm.weight": "plus one"}
_BIASES = {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_up.bias"}
_GEMMA_SIZES = {**_RMS, "attention.sliding_window": "sliding_window", "final_logit_softcapping": None}

ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": Architecture(
        "bert",
        _BERT,
        {**_SIZES, "attention.head_count_kv": None, _EPSILON: "layer_norm_eps", "pooling_type": None},
        turns=False,
    ),
    "bloom": Architecture(
        "bloom",
        {**_FALCON, "token_embd_norm": "transformer.word_embeddings_layernorm"},
        {
            **_SIZES, "block_count": "n_layer", "attention.head_count": "n_head", "attention.head_count_kv": None,
            "context_length": None, "feed_forward_length": "n_inner", _EPSILON: "layer_norm_epsilon",
        },
        stored={"attn_qkv": "apart"},
        turns=False,
    ),
    "command-r": Architecture(
        "cohere",
        {**_DECODER, **_QK_NORMS},
        {**_SIZES, _EPSILON: "layer_norm_eps", "logit_scale": "logit_scale"},
        flags={"use_qk_norm": "blk.0.attn_q_norm.weight", "attention_bias": "blk.0.attn_q.bias"},
    ),
    "falcon": Architecture(
        "falcon",
        _FALCON,
        {
            **_SIZES, "attention.head_count_kv": "num_kv_heads", "feed_forward_length": "ffn_hidden_size",
            _EPSILON: "layer_norm_epsilon", "tensor_data_layout": None,
        },
        flags={"bias": "blk.0.attn_qkv.bias"},
        stored={"attn_qkv": "apart"},
        misread=True,
    ),
    "gemma": Architecture("gemma", _DECODER, _RMS, {"hidden_activation": "gelu_pytorch_tanh"}, stored=_PLUS_ONE),
    "gemma2": Architecture(
        "gemma2",
        _SANDWICH,
        {
            **_GEMMA_SIZES, "attn_logit_softcapping": "attn_logit_softcapping",
            "final_logit_softcapping": "final_logit_softcapping",
        },
        stored=_PLUS_ONE,
    ),
    "gemma3": Architecture(
        "gemma3_text",
        {**_SANDWICH, **_QK_NORMS},
        {
            **_GEMMA_SIZES, "final_logit_softcapping": "final_logit_softcapping",
            "attention.sliding_window_pattern": "sliding_window_pattern",
        },
        stored=_PLUS_ONE,
    ),
    "gpt2": Architecture(
        "gpt2",
        _GPT2,
        {
            "block_count": "n_layer", "context_length": "n_positions", "embedding_length": "n_embd",
            "feed_forward_length": "n_inner", "attention.head_count": "n_head", "attention.head_count_kv": None,
            _EPSILON: "layer_norm_epsilon",
        },
        stored={f"{name}.weight": "transposed" for name in ("attn_qkv", "attn_output", "ffn_up", "ffn_down")},
        turns=False,
    ),
    "granite": Architecture(
        "granite",
        _DECODER,
        {
            **_RMS, "attention.scale": "attention_multiplier", "residual_scale": "residual_multiplier",
            "embedding_scale": "embedding_multiplier", "logit_scale": "logits_scaling",
        },
        flags=_BIASES,
        stored=_PAIRS,
    ),
    "llama": Architecture("llama", _DECODER, _RMS, flags=_BIASES, stored=_PAIRS),
    "nemotron": Architecture(
        "nemotron",
        _DECODER,
        {**_SIZES, _EPSILON: "norm_eps"},
        flags=_BIASES,
        stored=_PLUS_ONE,
        turns="partly",
    ),
    "olmo2": Architecture("olmo2", {**_DECODER, **_QK_NORMS, **_AFTER}, _RMS),
    "phi2": Architecture("phi", {**_DECODER, **_PHI}, {**_SIZES, _EPSILON: "layer_norm_eps"}, turns="partly"),
    "phi3": Architecture(
        "phi3",
        {
            **_DECODER, "blk.{}.attn_qkv": "model.layers.{}.self_attn.qkv_proj",
            "blk.{}.ffn_up": "model.layers.{}.mlp.gate_up_proj",
        },
        {**_RMS, "attention.sliding_window": "sliding_window"},
        turns="partly",
        misread=True,
    ),
    "qwen2": Architecture("qwen2", _DECODER, _RMS),
    "qwen3": Architecture("qwen3", {**_DECODER, **_QK_NORMS}, _RMS, flags={"attention_bias": "blk.0.attn_q.bias"}),
    "qwen3moe": Architecture(
        "qwen3_moe",
        {**_DECODER, **_QK_NORMS, **_EXPERTS},
        {
            **_RMS, "expert_count": "num_experts", "expert_used_count": "num_experts_per_tok",
            "expert_feed_forward_length": "moe_intermediate_size",
        },
        {"norm_topk_prob": True},
        flags={"attention_bias": "blk.0.attn_q.bias"},
        misread=True,
    ),
    "smollm3": Architecture("smollm3", _DECODER, _RMS, flags=_BIASES, stored=_PAIRS),
    "stablelm": Architecture(
        "stablelm",
        _DECODER,
        {**_SIZES, _EPSILON: "layer_norm_eps", "use_parallel_residual": "use_parallel_residual"},
        flags={"use_qkv_bias": "blk.0.attn_q.bias"},
        turns="partly",
    ),
    "starcoder2": Architecture(
        "starcoder2", {**_DECODER, **_PLAIN_MLP}, {**_SIZES, _EPSILON: "norm_epsilon"},
        {"hidden_act": "gelu_pytorch_tanh"}, flags={"use_bias": "blk.0.attn_q.bias"}, misread=True,
    ),
}  # fmt: skip
"""The architectures that are read here; transformers reads others."""


def derived(architecture: Architecture, config: Mapping[str, Any], tensors: Collection[str]) -> Mapping[str, Any]:
    """Return the attributes that no setting says of a file with these ``tensors``, given those that it says."""
    found: dict[str, Any] = {attribute: tensor in tensors for attribute, tensor in architecture.flags.items()}
    match architecture.model_type:
        case "falcon":
            heads, groups = config.get("num_attention_heads"), config.get("num_kv_heads")
            two = "blk.0.attn_norm_2.weight" in tensors
            newer = two or groups not in (1, heads)
            found |= {"multi_query": groups == 1, "new_decoder_architecture": newer}
            if newer:
                found["num_ln_in_parallel_attn"] = 2 if two else 1
        case "gemma2" | "gemma3_text":
            # The largest of each scales by the width of a query; llama.cpp knows them by their layers.
            large = {"gemma2": 46, "gemma3_text": 62}[architecture.model_type] == config.get("num_hidden_layers")
            per_head = config["hidden_size"] // config["num_attention_heads"]
            found["query_pre_attn_scalar"] = per_head if large else config.get("head_dim", per_head)
    return found


def names_of(architecture: Architecture, tensors: Collection[str]) -> Mapping[str, str]:
    """Return the names of the tensors in a file that has these."""
    if architecture.model_type == "falcon" and "blk.0.attn_norm_2.weight" in tensors:
        at = "transformer.h.{}"
        return {**architecture.names, "blk.{}.attn_norm": f"{at}.ln_mlp", "blk.{}.attn_norm_2": f"{at}.ln_attn"}
    return architecture.names
