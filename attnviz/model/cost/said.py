"""What a config says of the sizes of a model that no family file reads: its stacks, and which layers attend."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnviz.attention.window import CAUSAL
from attnviz.model.cost.estimates import AttentionBlock, ModelShape, Stack

_SAID = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads", "attention_heads"),
    "key-value heads": ("num_key_value_heads",),
    "width": ("hidden_size", "d_model", "n_embd", "dim"),
    "window": ("sliding_window",),
    "experts": ("num_local_experts", "n_routed_experts", "num_experts"),
    "vocabulary": ("vocab_size",),
    "limit": ("max_position_embeddings", "n_positions", "max_seq_len"),
}
"""The names that configs use for the same fact."""
_SHARED = ("vocabulary", "limit")
"""Facts that two stacks have in common, as a rule."""
_SIZES = {
    "head size": ("head_dim", "attention_head_size", "d_head"),
    "inner": ("intermediate_size", "ffn_dim", "n_inner", "d_ff", "d_inner", "feed_forward_size"),
    "experts asked": ("num_experts_per_tok", "moe_topk"),
}
"""Facts that matter only for the cost."""

_NO_ATTENTION = re.compile(r"linear|mamba|conv|recurrent|delta|ssm|rwkv|^moe$|^mlp$")
"""What hybrid models call layers of another sort, which have no attention weights."""
_SIGNS = {"M": "mamba", "E": "moe", "-": "mlp"}
"""The signs for such layers in a pattern of letters."""
_REMEMBERED = re.compile(r"(encoder_attn|crossattention|EncDecAttention)\.(self\.)?(k|v|key|value)(_proj)?\.")
"""The matrices of a decoder that read the encoder's output."""

_STACKS = ("encoder", "decoder")

Sizes = dict[str, int]


def said_facts(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts that ``attnviz models`` lists, in words; of two stacks those of each, by its name."""
    stacks = _stacks(config)
    shared = [fact for fact in _SHARED if len({said.get(fact) for _, said in stacks}) == 1]
    own: dict[str, str] = {}
    common: dict[str, str] = {}
    for stack, said in stacks:
        for fact in [fact for fact in said if fact in _SAID]:
            found, name = (common, fact) if fact in shared else (own, f"{stack} {fact}".strip())
            found[name] = f"{said[fact]:,}"
    return own | common


def without_attention(config: Mapping[str, Any]) -> dict[int, str]:
    """The layers of a hybrid model that have no attention, and what its config calls them."""
    config = _text(config)
    kinds = _kinds(config, _sizes(config).get("layers", 0))
    return {i: kind for i, kind in enumerate(kinds) if _NO_ATTENTION.search(kind)}


def _kinds(config: Mapping[str, Any], layers: int) -> Sequence[str]:
    """What each layer is, as configs name it: layer by layer, in a pattern that recurs, or by those that attend."""
    pattern = config.get("hybrid_override_pattern")  # Nemotron-H
    for name in ("layer_types", "layers_block_type", "block_types"):
        named = config.get(name)
        if isinstance(named, list | tuple) and named:
            return [str(named[i % len(named)]) for i in range(max(layers, len(named) if name != "block_types" else 0))]
    if isinstance(pattern, str):
        return [_SIGNS.get(sign, "attention") for sign in pattern]
    attending: Sequence[int] | None = None
    period, first = config.get("attn_layer_period"), config.get("attn_layer_offset", 0)
    if isinstance(period, int) and isinstance(first, int) and period > 0:  # Jamba
        attending = [i for i in range(layers) if i % period == first]
    for name, other in (("attn_layer_indices", "mamba"), ("full_attn_idxs", "conv")):  # Bamba; LFM2
        given = config.get(name)
        if isinstance(given, list | tuple):
            return ["attention" if i in given else other for i in range(layers)]
    return [] if attending is None else ["attention" if i in attending else "mamba" for i in range(layers)]


def missing(config: Mapping[str, Any]) -> list[str]:
    """Return which of the sizes without which there is no cost a config does not say."""
    return [name for name in ("layers", "heads", "width") if any(name not in said for _, said in _stacks(config))]


def said_shape(config: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> ModelShape:
    """Return the sizes on which the cost depends, as far as a config, where none is ``missing``, and the ``shapes`` of
    a checkpoint's tensors say them.
    """
    unknown, stacks = [], _stacks(config)
    causal = any(str(name).endswith("CausalLM") for name in config.get("architectures") or ())
    if not causal:
        unknown.append("which keys a query sees: all are counted")
    if any("window" in said for _, said in stacks):
        unknown.append("which layers have the window: none is counted")
    whole = len(stacks) == 1
    if whole and config.get("is_encoder_decoder"):
        unknown.append("what the decoder adds: one stack is counted")
    linear = [_linear(said, _part(shapes, "" if whole else name)) for name, said in stacks]
    if None in linear:
        unknown.append("the linear layers: they are not counted")
    remembered = _linear(stacks[-1][1], {name: size for name, size in shapes.items() if _REMEMBERED.search(name)}) or 0
    found = []
    for number, ((_, said), each) in enumerate(zip(stacks, linear, strict=True)):
        heads, width = said["heads"], said["width"]
        size = said.get("head size", width // heads)
        block = AttentionBlock(heads, said.get("key-value heads", heads), size, size, CAUSAL if causal else None)
        blocks = (block,) * (said["layers"] - len(without_attention(config)))
        crossing = (replace(block, kind="cross"),) * said["layers"] if number else ()
        apart = remembered if number and each is not None else 0
        own = None if each is None else each - apart
        found.append(Stack(blocks + crossing, width, said.get("inner", 4 * width), own, apart))
    count = sum(math.prod(size) for size in shapes.values())
    # A rotary model may go beyond the length of its training: only a run shows its limit.
    return ModelShape(tuple(found), count or None, None, tuple(unknown))


def _linear(said: Sizes, shapes: Mapping[str, Sequence[int]]) -> int | None:
    """Return how many weights of matrices each token is multiplied with: without the vocabulary's and idle experts'."""
    asked = said.get("experts asked", 1) / said["experts"] if "experts" in said else 1
    total = 0.0
    for name, sizes in shapes.items():
        if len(sizes) > 1 and said.get("vocabulary") not in sizes and "embed" not in name:
            total += math.prod(sizes) * (asked if "expert" in name and "shared" not in name else 1)
    return int(total) or None


def _part(shapes: Mapping[str, Sequence[int]], stack: str) -> dict[str, Sequence[int]]:
    """The tensors of a stack: those whose names have its own first (a decoder may be built like an encoder)."""
    first = {name: next((part for part in name.split(".") if part in _STACKS), "") for name in shapes}
    return {name: size for name, size in shapes.items() if not stack or first[name] == stack}


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = config.get("text_config")
    return inner if inner and isinstance(inner, Mapping) else config


def _stacks(config: Mapping[str, Any]) -> list[tuple[str, Sizes]]:
    """The sizes of a model's stacks, by name: an encoder and its decoder, or the only one."""
    config = _text(config)
    parts = {}
    for name in _STACKS:
        inside = config.get(name)
        if isinstance(inside, Mapping):  # a model made of two
            parts[name] = inside
        elif f"{name}_layers" in config:
            own = {key.removeprefix(f"{name}_"): value for key, value in config.items() if key.startswith(f"{name}_")}
            said = {key: value for key, value in config.items() if key not in _SAID["layers"]}
            parts[name] = said | own
    if parts and (len(parts) == 2 or "num_hidden_layers" not in config):
        return [(name, _sizes(part)) for name, part in parts.items()]
    return [("", _sizes(config))]


def _sizes(config: Mapping[str, Any]) -> Sizes:
    """The numbers that a config gives."""
    found = {}
    for fact, names in (_SAID | _SIZES).items():
        value = next((config[name] for name in names if type(config.get(name)) is int), None)
        if value is not None:
            found[fact] = value
    blocks = config.get("block_sizes")
    if "layers" not in found and isinstance(blocks, list | tuple):  # Funnel: blocks whose layers may be run again
        repeats = config.get("block_repeats") or [1] * len(blocks)
        found["layers"] = sum(map(math.prod, zip(blocks, repeats, strict=False))) + config.get("num_decoder_layers", 0)
    named = config.get("layers_block_type") or config.get("hybrid_override_pattern")
    if "layers" not in found and named:  # Nemotron-H: a list, or a sign for each
        found["layers"] = len(named)
    return found
