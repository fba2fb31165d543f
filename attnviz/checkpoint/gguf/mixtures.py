"""The architectures of decoders with experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from attnviz.checkpoint.gguf.architecture import Architecture
from attnviz.checkpoint.gguf.names import DECODER, PAIRS, QK_NORMS, RMS

_EXPERTS = {
    "blk.{}.ffn_gate_inp": "model.layers.{}.mlp.gate",
    "blk.{}.ffn_gate_exps": "model.layers.{}.mlp.experts.{}.gate_proj",
    "blk.{}.ffn_up_exps": "model.layers.{}.mlp.experts.{}.up_proj",
    "blk.{}.ffn_down_exps": "model.layers.{}.mlp.experts.{}.down_proj",
}
_SHARED = {
    "blk.{}.ffn_gate_inp_shexp": "model.layers.{}.mlp.shared_expert_gate",
    "blk.{}.ffn_gate_shexp": "model.layers.{}.mlp.shared_expert.gate_proj",
    "blk.{}.ffn_up_shexp": "model.layers.{}.mlp.shared_expert.up_proj",
    "blk.{}.ffn_down_shexp": "model.layers.{}.mlp.shared_expert.down_proj",
}
_MIXTRAL = {
    "blk.{}.ffn_gate_inp": "model.layers.{}.block_sparse_moe.gate",
    # Each expert by itself, as in older files, or all of them in one tensor.
    **{
        f"blk.{{}}.ffn_{which}{end}": f"model.layers.{{}}.block_sparse_moe.experts.{{}}.{name}"
        for which, name in (("gate", "w1"), ("down", "w2"), ("up", "w3"))
        for end in ("_exps", ".{}")
    },
}
_GRANITE = {
    "blk.{}.ffn_gate_inp": "model.layers.{}.block_sparse_moe.router.layer",
    "blk.{}.ffn_gate_exps": "model.layers.{}.block_sparse_moe.input_linear",
    "blk.{}.ffn_up_exps": "model.layers.{}.block_sparse_moe.input_linear",
    "blk.{}.ffn_down_exps": "model.layers.{}.block_sparse_moe.output_linear",
    "blk.{}.ffn_gate_shexp": "model.layers.{}.shared_mlp.input_linear",
    "blk.{}.ffn_up_shexp": "model.layers.{}.shared_mlp.input_linear",
    "blk.{}.ffn_down_shexp": "model.layers.{}.shared_mlp.output_linear",
}
_GPT_OSS = {
    "blk.{}.post_attention_norm": "model.layers.{}.post_attention_layernorm",
    "blk.{}.attn_sinks.weight": "model.layers.{}.self_attn.sinks",
    "blk.{}.ffn_gate_inp": "model.layers.{}.mlp.router",
    **{
        f"blk.{{}}.ffn_{which}_exps.{end}": f"model.layers.{{}}.mlp.experts.{name}{last}"
        for which, name in (("gate", "gate_up_proj"), ("up", "gate_up_proj"), ("down", "down_proj"))
        for end, last in (("weight", ""), ("bias", "_bias"))
    },
}
_DEEPSEEK = {
    **{
        f"blk.{{}}.attn_{theirs}": f"model.layers.{{}}.self_attn.{ours}"
        for theirs, ours in {
            "q_a": "q_a_proj", "q_a_norm": "q_a_layernorm", "q_b": "q_b_proj", "kv_a_mqa": "kv_a_proj_with_mqa",
            "kv_a_norm": "kv_a_layernorm", "kv_b": "kv_b_proj", "k_b": "kv_b_proj", "v_b": "kv_b_proj",
        }.items()
    },
    **{
        f"blk.{{}}.ffn_{which}_shexp": f"model.layers.{{}}.mlp.shared_experts.{which}_proj"
        for which in ("gate", "up", "down")
    },
    "blk.{}.exp_probs_b.bias": "model.layers.{}.mlp.gate.e_score_correction_bias",
}  # fmt: skip

_USED = {"expert_used_count": "num_experts_per_tok"}
_COUNTS = {"expert_count": "num_experts", **_USED}
_LOCAL = {"expert_count": "num_local_experts", **_USED}
_QKV = {"attention_bias": "blk.0.attn_q.bias"}
_GRANITE_SIZES = {
    **RMS, **_LOCAL, "attention.scale": "attention_multiplier", "residual_scale": "residual_multiplier",
    "embedding_scale": "embedding_multiplier", "logit_scale": "logits_scaling",
}  # fmt: skip
_DEEPSEEK_SIZES = {
    **{name: ours for name, ours in RMS.items() if name != "attention.key_length"}, **_USED,
    "attention.head_count_kv": None, "expert_count": "n_routed_experts",
    "attention.q_lora_rank": "q_lora_rank", "attention.kv_lora_rank": "kv_lora_rank",
    "leading_dense_block_count": "first_k_dense_replace", "expert_shared_count": "n_shared_experts",
    "expert_feed_forward_length": "moe_intermediate_size", "expert_weights_scale": "routed_scaling_factor",
    "expert_weights_norm": "norm_topk_prob", "expert_group_count": "n_group",
    "expert_group_used_count": "topk_group",
}  # fmt: skip

MIXTURES: Mapping[str, Architecture] = {
    "deepseek2": Architecture(
        "deepseek_v2",
        {**DECODER, **_EXPERTS, **_DEEPSEEK},
        _DEEPSEEK_SIZES,
        {"q_lora_rank": None, "norm_topk_prob": False, "routed_scaling_factor": 1.0},
        stored={"attn_k_b": "by head", "attn_v_b": "by head"},
    ),
    "gpt-oss": Architecture(
        "gpt_oss",
        {**DECODER, **_GPT_OSS},
        {**RMS, **_LOCAL, "attention.sliding_window": "sliding_window", "expert_feed_forward_length": None},
        flags=_QKV,
        stored={
            "ffn_gate_exps.weight": "alternating", "ffn_up_exps.weight": "alternating",
            "ffn_gate_exps.bias": "alternating", "ffn_up_exps.bias": "alternating",
            "ffn_down_exps.weight": "transposed",
        },
        misread=True,
    ),
    "granitemoe": Architecture(
        "granitemoe",
        {**DECODER, **_GRANITE},
        _GRANITE_SIZES,
        flags=_QKV,
        stored={**PAIRS, "ffn_gate_exps": "stacked", "ffn_up_exps": "stacked"},
    ),
    "olmoe": Architecture(
        "olmoe", {**DECODER, **QK_NORMS, **_EXPERTS}, {**RMS, **_COUNTS, "attention.clamp_kqv": "clip_qkv"},
        {"norm_topk_prob": False, "clip_qkv": None}, flags=_QKV,
    ),
    "qwen2moe": Architecture(
        "qwen2_moe",
        {**DECODER, **_EXPERTS, **_SHARED},
        {
            **RMS, **_COUNTS, "expert_feed_forward_length": "moe_intermediate_size",
            "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
        },
        {"norm_topk_prob": False},
        stored={"ffn_gate_inp_shexp": "row"},
        misread=True,
    ),
    "qwen3moe": Architecture(
        "qwen3_moe",
        {**DECODER, **QK_NORMS, **_EXPERTS},
        {**RMS, **_COUNTS, "expert_feed_forward_length": "moe_intermediate_size"},
        {"norm_topk_prob": True},
        flags=_QKV,
        misread=True,
    ),
}  # fmt: skip

DEEPSEEK_V3 = replace(MIXTURES["deepseek2"], model_type="deepseek_v3")
"""Files of DeepSeek-V3 say that they are V2, with a correction of each expert's score."""
GRANITE_SHARED = replace(
    MIXTURES["granitemoe"],
    model_type="granitemoeshared",
    attributes={**_GRANITE_SIZES, "expert_shared_feed_forward_length": "shared_intermediate_size"},
    stored={**MIXTURES["granitemoe"].stored, "ffn_gate_shexp": "stacked", "ffn_up_shexp": "stacked"},
)
"""Granite with experts that has a shared one."""
MIXTRAL = Architecture("mixtral", {**DECODER, **_MIXTRAL}, {**RMS, **_LOCAL}, {"sliding_window": None}, stored=PAIRS)
"""Files of Mixtral say that they are Llama, with experts."""
