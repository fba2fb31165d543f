"""GGUF files of transformers models, written as llama.cpp's converter writes them: names by the package ``gguf``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind

from tests import gguf_saved

NAMES = {
    "cohere": "command-r", "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "gemma3_text": "gemma3",
    "gpt_neox": "gptneox", "gpt_oss": "gpt-oss", "granitemoeshared": "granitemoe", "mistral": "llama",
    "mixtral": "llama", "nomic_bert": "nomic-bert", "olmo3": "olmo2", "phi": "phi2", "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe", "roberta": "bert", "umt5": "t5",
}  # fmt: skip
"""GGUF's names of architectures that transformers calls otherwise."""
Array = np.ndarray[Any, Any]


Change = Callable[[gguf.GGUFWriter], object]


def write(
    path: Path,
    model: Any,
    kind: Kind = Kind.F32,
    change: Change = bool,
    vocabulary: Change | None = None,
    *,
    older: bool = False,
) -> Path:
    """Write ``model`` with its matrices as ``kind``; ``change`` may add settings. Returns ``path``.

    ``older``: as the converter wrote it before it joined experts, and before it split DeepSeek's keys and values.
    """
    config = model.config
    name = NAMES.get(config.model_type, config.model_type)
    writer = gguf.GGUFWriter(path, name)
    if name == "t5":
        gguf_saved.write_t5(writer, config)
    else:
        _write_sizes(writer, config)
    gguf_saved.write_own(writer, config, older=older)
    if vocabulary:
        vocabulary(writer)
    else:
        _write_vocabulary(writer, config.vocab_size, bert=name in ("bert", "nomic-bert"))
    change(writer)
    saved = config.model_type in gguf_saved.KINDS
    tensors = gguf_saved.tensors(model, name, older=older) if saved else _tensors(model, name)
    for theirs, tensor in {**tensors, **_rope_tensors(config)}.items():
        own = kind if tensor.ndim > 1 and not tensor.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] else Kind.F32
        writer.add_tensor(theirs, packed(tensor, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def packed(tensor: Array, kind: Kind) -> Array:
    """The bytes of ``tensor`` as ``kind``; random ones, with tame scales, where ``gguf`` can only read that."""
    try:
        return gguf.quantize(np.ascontiguousarray(tensor, np.float32), kind)
    except NotImplementedError:
        numbers, size = gguf.GGML_QUANT_SIZES[kind]
        random = np.random.default_rng(tensor.size)
        blocks = random.integers(0, 256, (*tensor.shape[:-1], tensor.shape[-1] // numbers, size), np.uint8)
        scales = {Kind.Q4_K: (0, 2), Kind.Q5_K: (0, 2), Kind.Q6_K: (208,), Kind.Q2_K: (80, 82), Kind.Q3_K: (108,)}
        for at in scales[kind]:
            blocks[..., at : at + 2] = np.frombuffer(np.float16(0.0004).tobytes(), np.uint8)
        return blocks.reshape(*tensor.shape[:-1], -1)


def _write_sizes(writer: gguf.GGUFWriter, config: Any) -> None:
    heads = config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(getattr(config, "max_position_embeddings", 2048))
    writer.add_embedding_length(config.hidden_size)
    inner = next((n for n in ("intermediate_size", "n_inner", "ffn_hidden_size") if getattr(config, n, None)), None)
    writer.add_feed_forward_length(getattr(config, inner) if inner else 4 * config.hidden_size)
    writer.add_head_count(heads)
    if config.model_type == "falcon":
        writer.add_tensor_data_layout("jploski")
        newer, one = config.new_decoder_architecture, config.multi_query
        writer.add_head_count_kv(config.num_kv_heads if newer or not one else 1)
    elif config.model_type not in ("bert", "gpt2"):
        writer.add_head_count_kv(getattr(config, "num_key_value_heads", None) or heads)
    whole = config.model_type == "falcon" or config.model_type.startswith("deepseek")
    size = None if whole else getattr(config, "head_dim", None)
    if size:
        writer.add_key_length(size)
        writer.add_value_length(size)
    if hasattr(config, "rms_norm_eps"):
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    for name in ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"):
        if hasattr(config, name):
            writer.add_layer_norm_eps(getattr(config, name))
    _write_rope(writer, config, size or config.hidden_size // heads)
    _write_own(writer, config)


def _write_rope(writer: gguf.GGUFWriter, config: Any, size: int) -> None:
    rope = getattr(config, "rope_parameters", None)
    if not rope:
        return
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    if config.model_type in ("llama", "phi", "phi3", "stablelm", "nemotron", "smollm3", "glm4", "gpt_neox", "cohere2"):
        writer.add_rope_dimension_count(int(size * rope.get("partial_rotary_factor", 1)))
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if "original_max_position_embeddings" in rope and rope["rope_type"] in ("yarn", "longrope"):
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    for name in ("beta_fast", "beta_slow") if rope["rope_type"] == "yarn" else ():
        if name in rope:
            getattr(writer, f"add_rope_scaling_yarn_{name}")(rope[name])
    if rope["rope_type"] == "longrope":
        growth = config.max_position_embeddings / rope["original_max_position_embeddings"]
        writer.add_rope_scaling_attn_factors(
            float(np.sqrt(1 + np.log(growth) / np.log(rope["original_max_position_embeddings"])))
        )


def _write_own(writer: gguf.GGUFWriter, config: Any) -> None:
    """What single architectures say."""
    match config.model_type:
        case "bert":
            writer.add_causal_attention(False)
            writer.add_token_type_count(config.type_vocab_size)
        case "cohere2":
            writer.add_logit_scale(config.logit_scale)
            writer.add_sliding_window(config.sliding_window)
            writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
        case "exaone4" | "olmo3":
            if config.sliding_window:
                writer.add_sliding_window(config.sliding_window)
                writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config.layer_types])
        case "gpt_neox":
            writer.add_parallel_residual(config.use_parallel_residual)
        case "olmo":
            writer.add_layer_norm_eps(1e-5)
            if config.clip_qkv is not None:
                writer.add_clamp_kqv(config.clip_qkv)
        case "cohere":
            writer.add_logit_scale(config.logit_scale)
            writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
        case "gemma2" | "gemma3_text" | "phi3":
            writer.add_sliding_window(config.sliding_window or 0)
        case "granite":
            writer.add_attention_scale(config.attention_multiplier)
            writer.add_residual_scale(config.residual_multiplier)
            writer.add_embedding_scale(config.embedding_multiplier)
            writer.add_logit_scale(config.logits_scaling)
        case "stablelm":
            writer.add_parallel_residual(config.use_parallel_residual)
        case "qwen3_moe":
            writer.add_expert_count(config.num_experts)
            writer.add_expert_used_count(config.num_experts_per_tok)
            writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if config.model_type == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def _write_vocabulary(writer: gguf.GGUFWriter, size: int, *, bert: bool) -> None:
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if bert else ["<unk>", "<s>", "</s>"]
    space, letters = "\u2581", "abcdefghijklmnopqrstuvwxyzT."
    begun = [f"{space}{word[:end]}" for word in ("the", "bank") for end in range(1, len(word) + 1)]
    pieces = [f"{space}{letter}" for letter in letters] if bert else [space, *letters]
    tokens = [*dict.fromkeys([*marks, *begun, *pieces]), *(f"{space}word{number}" for number in range(size))][:size]
    writer.add_tokenizer_model("bert" if bert else "llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(number) for number in range(size)])
    writer.add_token_types([3 if token in marks else 1 for token in tokens])
    for number, name in enumerate(("unk", "bos", "eos")) if not bert else ():
        getattr(writer, f"add_{name}_token_id")(number)
    for name, number in {"unk": 1, "bos": 2, "sep": 3, "mask": 4}.items() if bert else ():
        getattr(writer, f"add_{name}_token_id")(number)


def _tensors(model: Any, architecture: str) -> Mapping[str, Array]:
    """The model's tensors as the converter stores them, under GGUF's names."""
    config = model.config
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    found: dict[str, Array] = {}
    state = model.state_dict()
    if config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    for theirs, tensor in state.items():
        array = _stored(theirs, tensor.float().numpy(), config)
        plain, _, last = theirs.rpartition(".")
        candidates = [f"{prefix}{plain}" for prefix in ("", "model.", "transformer.", "gpt_neox.")]
        ours = next((name for each in candidates if (name := names.get_name(each))), None)
        if plain.endswith("mlp.experts"):  # one tensor of all experts, of gate and rest
            layer = plain.split(".")[-3]
            parts = {"ffn_down_exps": array}
            if last == "gate_up_proj":
                half = array.shape[1] // 2
                parts = {"ffn_gate_exps": array[:, :half], "ffn_up_exps": array[:, half:]}
            found |= {f"blk.{layer}.{part}.weight": np.ascontiguousarray(each) for part, each in parts.items()}
        elif ours and "pooler" not in plain:
            found[f"{ours}.{last}"] = np.ascontiguousarray(array)
    return found


def _stored(name: str, array: Array, config: Any) -> Array:
    kind = config.model_type
    heads = config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    if kind in ("llama", "mistral", "granite", "smollm3", "arcee", "olmo") and ("q_proj" in name or "k_proj" in name):
        count = heads if "q_proj" in name else groups
        return (
            array.reshape(count, 2, array.shape[0] // count // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        )
    if kind in ("gemma", "gemma2", "gemma3_text", "nemotron") and "norm" in name and name.endswith("weight"):
        return array + np.float32(1)
    if kind == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return array.T
    if "query_key_value" in name:
        if kind in ("bloom", "gpt_neox"):
            groups = heads
        else:
            groups = config.num_kv_heads if config.new_decoder_architecture else 1 if config.multi_query else heads
        size = config.hidden_size // heads
        parts = array.reshape(groups, heads // groups + 2, size, *array.shape[1:])
        cut = parts[:, :-2], parts[:, -2], parts[:, -1]
        return np.concatenate([part.reshape(-1, *array.shape[1:]) for part in cut])
    return array


def _rope_tensors(config: Any) -> dict[str, Array]:
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        return {
            f"rope_factors_{which}.weight": np.array(rope[f"{which}_factor"], np.float32) for which in ("short", "long")
        }
    if rope.get("rope_type") == "llama3":
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        plain = 1 / rope["rope_theta"] ** (torch.arange(0, size, 2).double() / size)
        scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
        return {"rope_freqs.weight": (plain / scaled.double()).float().numpy()}
    return {}
