"""GGUF files of models with experts, latent vectors or two stacks: written from the tensors of their checkpoints."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.torch import load_file

Array = np.ndarray[Any, Any]

KINDS = (
    "deepseek_v2", "deepseek_v3", "gpt_oss", "granitemoe", "granitemoeshared", "mixtral", "nomic_bert", "olmoe",
    "qwen2_moe", "t5", "umt5",
)  # fmt: skip
_EXPERT = re.compile(r"experts\.(\d+)\.")
_NOT_NAMED = {"block_sparse_moe.router.layer": "ffn_gate_inp", "block_sparse_moe.output_linear": "ffn_down_exps"}
"""What the package does not name as checkpoints do."""


def tensors(model: Any, architecture: str, *, older: bool = False) -> Mapping[str, Array]:
    """The model's tensors as the converter stores them, or as an ``older`` one did, which joined no experts."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        saved = {name: tensor.float().numpy() for name, tensor in load_file(Path(folder, "model.safetensors")).items()}
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    names, config = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers), model.config
    found: dict[str, Array] = {}
    for name, array in sorted(saved.items(), key=_number):
        for part, tensor in _parts(name, array, config, older=older):
            if "pooler" in part or (part == "lm_head.weight" and config.tie_word_embeddings):
                continue
            number = _EXPERT.search(part)
            target = _named(_EXPERT.sub("experts.", part), names)
            if number and older and config.model_type == "mixtral":
                end = re.sub(r"_exps\.", f".{number[1]}.", target)
                found[end] = tensor
            elif number:
                found[target] = np.concatenate([found[target], tensor[None]]) if target in found else tensor[None]
            else:
                found[target] = np.ascontiguousarray(tensor)
    return found


def _number(item: tuple[str, Array]) -> tuple[int, str]:
    number = _EXPERT.search(item[0])
    return (int(number[1]) if number else -1), item[0]


def _named(name: str, names: Any) -> str:
    plain, _, last = name.rpartition(".")
    for end, ours in _NOT_NAMED.items():
        if plain.endswith(end):
            return f"blk.{re.findall(r'[0-9]+', plain)[0]}.{ours}.{last}"
    found = names.get_name(plain) or names.get_name(f"model.{plain}")
    if found is None:
        raise KeyError(f"the package gguf has no name for {name}")
    return f"{found}.{last}"


def _parts(name: str, array: Array, config: Any, *, older: bool) -> list[tuple[str, Array]]:
    """What the converter makes of one tensor of the checkpoint, by the names that the package knows."""
    kind, heads = config.model_type, config.num_attention_heads
    stem = name.rpartition(".")[0]
    if kind in ("mixtral", "granitemoe", "granitemoeshared") and re.search(r"[qk]_proj\.", name):
        count = heads if "q_proj" in name else config.num_key_value_heads
        pairs = array.reshape(count, 2, array.shape[0] // count // 2, *array.shape[1:])
        return [(name, pairs.swapaxes(1, 2).reshape(array.shape))]
    if name.endswith("input_linear.weight"):
        gate, up = np.split(array, 2, axis=-2)
        end = "shared_experts" if "shared" in name else "experts"
        at = name.split(".block_sparse_moe")[0].split(".shared_mlp")[0]
        return [(f"{at}.mlp.{end}.gate_proj.weight", gate), (f"{at}.mlp.{end}.up_proj.weight", up)]
    if kind == "granitemoeshared" and name.endswith("shared_mlp.output_linear.weight"):
        return [(name.replace("shared_mlp.output_linear", "mlp.shared_experts.down_proj"), array)]
    if kind == "gpt_oss":
        return _of_gpt_oss(name, array)
    if kind.startswith("deepseek") and name.endswith("kv_b_proj.weight") and not older:
        rows = array.reshape(heads, -1, array.shape[-1])
        keys, values = np.split(rows, [config.qk_nope_head_dim], axis=1)
        return [(f"{stem[:-9]}k_b_proj.weight", keys.swapaxes(1, 2)), (f"{stem[:-9]}v_b_proj.weight", values)]
    if name.endswith("e_score_correction_bias"):
        return [(name.replace("gate.e_score_correction_bias", "e_score_correction.bias"), array)]
    if name.endswith("shared_expert_gate.weight"):
        return [(name, array[0])]
    return [(name, array)]


def _of_gpt_oss(name: str, array: Array) -> list[tuple[str, Array]]:
    if name.endswith("sinks"):
        return [(f"{name}.weight", array)]
    if "experts" not in name:
        return [(name, array)]
    last = "bias" if name.endswith("_bias") else "weight"
    turned = array if last == "bias" else array.swapaxes(-1, -2)
    at = name.split("gate_up_proj")[0].split("down_proj")[0]
    if "down_proj" in name:
        return [(f"{at}down_proj.{last}", turned)]
    return [(f"{at}gate_proj.{last}", turned[:, ::2]), (f"{at}up_proj.{last}", turned[:, 1::2])]


def write_own(writer: gguf.GGUFWriter, config: Any, *, older: bool = False) -> None:
    """What the files of single architectures say."""
    if hasattr(config, "num_experts_per_tok"):
        counts = (getattr(config, name, None) for name in ("num_local_experts", "num_experts", "n_routed_experts"))
        writer.add_expert_count(next(each for each in counts if each))
        writer.add_expert_used_count(config.num_experts_per_tok)
    match config.model_type:
        case "granitemoe" | "granitemoeshared":
            writer.add_attention_scale(config.attention_multiplier)
            writer.add_residual_scale(config.residual_multiplier)
            writer.add_embedding_scale(config.embedding_multiplier)
            writer.add_logit_scale(config.logits_scaling)
            if getattr(config, "shared_intermediate_size", 0):
                writer.add_expert_shared_feed_forward_length(config.shared_intermediate_size)
        case "qwen2_moe":
            writer.add_expert_feed_forward_length(config.moe_intermediate_size)
            writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)
        case "gpt_oss":
            writer.add_sliding_window(config.sliding_window)
            writer.add_expert_feed_forward_length(config.intermediate_size)
        case "deepseek_v2" | "deepseek_v3":
            _write_deepseek(writer, config, older=older)
        case "nomic_bert":
            writer.add_causal_attention(False)
            writer.add_token_type_count(config.type_vocab_size)


def _write_deepseek(writer: gguf.GGUFWriter, config: Any, *, older: bool) -> None:
    rank, turned = config.kv_lora_rank, config.qk_rope_head_dim
    writer.add_leading_dense_block_count(config.first_k_dense_replace)
    if config.q_lora_rank:
        writer.add_q_lora_rank(config.q_lora_rank)
    writer.add_kv_lora_rank(rank)
    writer.add_key_length(config.qk_nope_head_dim + turned if older else rank + turned)
    writer.add_value_length(config.v_head_dim if older else rank)
    if not older:
        writer.add_key_length_mla(config.qk_nope_head_dim + turned)
        writer.add_value_length_mla(config.v_head_dim)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_expert_shared_count(config.n_shared_experts)
    writer.add_expert_weights_scale(config.routed_scaling_factor)
    if config.norm_topk_prob:
        writer.add_expert_weights_norm(True)
    if config.n_group:
        writer.add_expert_group_count(config.n_group)
        writer.add_expert_group_used_count(config.topk_group)
    v3 = config.model_type == "deepseek_v3"
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID if v3 else gguf.ExpertGatingFuncType.SOFTMAX)
    writer.add_rope_dimension_count(turned)
    rope = config.rope_parameters
    if rope.get("mscale_all_dim"):
        writer.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])


def write_t5(writer: gguf.GGUFWriter, config: Any) -> None:
    """The sizes of two stacks."""
    writer.add_context_length(512)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_block_count(config.num_layers)
    writer.add_decoder_block_count(config.num_decoder_layers)
    writer.add_head_count(config.num_heads)
    writer.add_key_length(config.d_kv)
    writer.add_value_length(config.d_kv)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_layer_norm_rms_eps(config.layer_norm_epsilon)
    writer.add_relative_attn_buckets_count(config.relative_attention_num_buckets)
    writer.add_decoder_start_token_id(config.decoder_start_token_id)
