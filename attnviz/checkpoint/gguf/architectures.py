"""The architectures of GGUF files that are read here, and what their files say without a setting of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attnviz.checkpoint.gguf.architecture import Architecture
from attnviz.checkpoint.gguf.decoders import DECODERS, OLMO3
from attnviz.checkpoint.gguf.encoders import ENCODERS, T5_GATED, T5_PLAIN, UMT5
from attnviz.checkpoint.gguf.header import Header
from attnviz.checkpoint.gguf.mixtures import DEEPSEEK_V3, GRANITE_SHARED, MIXTRAL, MIXTURES
from attnviz.errors import UnsupportedModel, short

ARCHITECTURES: Mapping[str, Architecture] = dict(sorted({**ENCODERS, **DECODERS, **MIXTURES}.items()))
"""The architectures that are read here; transformers reads others."""

VARIANTS: Mapping[str, tuple[str, Architecture]] = {
    "deepseek2": ("blk.{}.exp_probs_b.bias", DEEPSEEK_V3),
    "granitemoe": ("blk.{}.ffn_up_shexp.weight", GRANITE_SHARED),
    "llama": ("blk.{}.ffn_gate_inp.weight", MIXTRAL),
    "olmo2": ("olmo2.attention.sliding_window", OLMO3),
    "t5": ("enc.blk.{}.attn_rel_b.weight", UMT5),
}
"""What the files of an architecture describe if they have this tensor, where ``{}`` is the last layer, or setting."""


def find_architecture(header: Header) -> Architecture:
    """Return how the file describes its model.

    Raises:
        UnsupportedModel: its architecture is not read here.
    """
    name = header.settings.get("general.architecture")
    if not isinstance(name, str):
        raise UnsupportedModel("it names no general.architecture")
    if name not in ARCHITECTURES:
        raise UnsupportedModel(f"its architecture is {short(name)}; read here are {', '.join(ARCHITECTURES)}")
    mark, variant = VARIANTS.get(name, ("", None))
    count = header.settings.get(f"{name}.block_count")
    mark = mark.format(count - 1 if isinstance(count, int) else 0)
    return variant if variant and (mark in header.tensors or mark in header.settings) else ARCHITECTURES[name]


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
        case "exaone4" if config.get("sliding_window") is None:
            found["layer_types"] = ["full_attention"] * config["num_hidden_layers"]
        case "t5" | "umt5":
            found["feed_forward_proj"] = "gated-gelu" if "enc.blk.0.ffn_gate.weight" in tensors else "relu"
    return found


def names_of(architecture: Architecture, tensors: Collection[str]) -> Mapping[str, str]:
    """Return the names of the tensors in a file that has these."""
    if architecture.model_type == "falcon" and "blk.0.attn_norm_2.weight" in tensors:
        at = "transformer.h.{}"
        return {**architecture.names, "blk.{}.attn_norm": f"{at}.ln_mlp", "blk.{}.attn_norm_2": f"{at}.ln_attn"}
    if architecture.model_type in ("t5", "umt5"):
        return {**architecture.names, **(T5_GATED if "enc.blk.0.ffn_gate.weight" in tensors else T5_PLAIN)}
    return architecture.names
