"""Estimate the cost of a text from its number of tokens: scores, floating-point operations and memory.

The shape letters are those of ``kernel.py``. The estimates are for a run with observers, which keeps the keys and
values of one layer at a time, and no weights.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from attnviz.attention.block_sizes import TILE, TOGETHER
from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.model.architecture.description import parameters
from attnviz.model.architecture.shapes import tensor_shapes
from attnviz.model.architecture.spec import AttentionSpec, Spec

LINKS_PER_QUERY = 8
"""How many links ``Units`` keeps of each query."""
MAP_CELLS = 256
"""How many cells, down and across, ``Units`` keeps of each head."""
TARGET_TOKENS = 32
"""The number of tokens of a decoder with an encoder, if no target is given."""

_TILES = (os.cpu_count() or 1) + 3
"""The number of arrays of a tile's size at a time: one per thread, those waiting, and those that observers make."""
TOKEN_BYTES = 800
"""The measured bytes per token of an ``Encoding`` and of making it."""


@dataclass(frozen=True)
class AttentionBlock:
    """One layer's attention: ``heads`` of ``head_size`` share ``kv_heads`` keys, and values of ``value_size``. A window
    of None is unknown.

    ``kind`` is "cross" for the attention of a decoder to its encoder. Keys and values are the layer's ``own``, or those
    of an earlier one, which are ``lent`` to it.
    """

    heads: int
    kv_heads: int
    head_size: int
    value_size: int
    window: KeyWindow | None = EVERYTHING
    kind: Literal["self", "cross"] = "self"
    own: bool = True
    lent: bool = False


@dataclass(frozen=True)
class Stack:
    """The layers that one text runs through.

    Args:
        blocks: the attention of each layer.
        width: the size of the hidden states.
        inner: the size of the MLP's inner layer.
        linear: the number of matrix weights with which each token is multiplied; None is unknown.
        remembered: the same for each token of the encoder, whose keys and values a decoder computes.
        mixed: the numbers of a token in the largest of its layers that do not attend.
    """

    blocks: tuple[AttentionBlock, ...]
    width: int
    inner: int
    linear: int | None
    remembered: int = 0
    mixed: int = 0


@dataclass(frozen=True)
class ModelShape:
    """The sizes on which a model's cost depends.

    Args:
        stacks: the stacks of layers, an encoder's first.
        parameters: the number of parameters; None is unknown.
        limit: the number of positions; None for no limit.
        unknown: what the config leaves open, and how it is counted, in words.
    """

    stacks: tuple[Stack, ...]
    parameters: int | None
    limit: int | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """The cost of a text. FLOPs count multiplications and additions; memory is in bytes.

    Args:
        tokens: the number of tokens.
        scores: the scores of one head in one layer, N².
        all_scores: the scores of all heads and layers.
        seen: the scores whose query sees the key, the only ones needed; None is unknown.
        linear_flops: the FLOPs of the linear layers; None is unknown.
        attention_flops: the FLOPs of attention.
        keys_values: the keys and values of all layers, which a model keeps while it generates.
        one_layer: the keys and values that attnviz keeps at a time: of one layer, and those that later ones use.
        weights: all weights of all heads.
        model: the model's parameters; None is unknown.
        activations: the hidden states and tiles.
        kept: what observers keep.
    """

    tokens: int
    scores: int
    all_scores: int
    seen: int | None
    linear_flops: int | None
    attention_flops: int
    keys_values: int
    one_layer: int
    weights: int
    model: int | None
    activations: int
    kept: int

    @property
    def peak(self) -> int:
        """The memory of a run with observers, beside Python and torch; unknown parts count as 0."""
        return (self.model or 0) + self.activations + self.kept


def model_shape(spec: Spec) -> ModelShape:
    """Return the sizes on which the cost of a native model depends."""
    stacks = [spec.encoder, spec] if spec.encoder else [spec]
    limits = [stack.limit for stack in stacks if stack.limit is not None]
    return ModelShape(tuple(map(_stack, stacks)), parameters(spec), min(limits, default=None))


def _stack(spec: Spec) -> Stack:
    shapes = tensor_shapes(spec)
    sizes = {
        name: math.prod(size)
        for name, size in shapes.items()
        if len(size) == 2
        and name.endswith("weight")
        and name.startswith(("layers.", "embed.project.", "embed.project_layers.", "project."))
        and "relative" not in name
    }
    for i, layer in enumerate(spec.layers):
        if layer.experts:  # of its experts only the chosen read a token
            part = [
                size for name, size in shapes.items() if name.startswith(f"layers.{i}.mlp.") and ".experts." in name
            ]
            sizes[f"layers.{i}.mlp.experts"] = (
                sum(math.prod(size) for size in part if len(size) == 3) * layer.experts.chosen // layer.experts.count
            )
    remembered = sum(size for name, size in sizes.items() if ".cross.key" in name or ".cross.value" in name)
    linear = sum(sizes.values()) - remembered + sum(each.multiplications(spec.width) for each in spec.mixers.values())
    mixed = max((each.numbers(spec.width) for each in spec.mixers.values()), default=0)
    blocks = [replace(_block(each), lent=i in spec.lenders) for i, each in spec.attentions.items()]
    blocks += [_block(layer.cross, "cross") for layer in spec.layers if layer.cross]
    inner = max(layer.mlp.size for layer in spec.layers)
    return Stack(tuple(blocks), spec.width, inner, linear, remembered, mixed)


def _block(spec: AttentionSpec, kind: Literal["self", "cross"] = "self") -> AttentionBlock:
    return AttentionBlock(
        spec.heads, spec.kv_heads, spec.head_size, spec.value_size, spec.window, kind, own=spec.keys_of is None
    )


def visible_scores(window: KeyWindow, queries: int, keys: int) -> int:
    """Return how many scores of ``queries`` × ``keys`` have a query that sees the key."""
    ahead = keys if window.right is None else window.right
    rising = min(queries, max(0, keys - ahead - 1))  # the queries that do not see the last key
    upto = rising * (ahead + 1) + rising * (rising - 1) // 2 + (queries - rising) * keys
    hidden = 0 if window.left is None else max(0, queries - 1 - window.left)
    return upto - hidden * (hidden + 1) // 2


def estimate_cost(shape: ModelShape, tokens: int, *, bytes_: int = 4, target: int | None = None) -> Cost:
    """Estimate the cost of ``tokens`` tokens.

    Args:
        shape: the model.
        tokens: the number of tokens, which an encoder reads if there is one.
        bytes_: the bytes of one of the model's numbers; scores take at least four.
        target: the number of tokens of the decoder; ``TARGET_TOKENS`` by default.
    """
    lengths = _lengths(shape, tokens, target)
    exact = max(4, bytes_)
    maps = list(_maps(shape, lengths))
    counted = [
        None if block.window is None else visible_scores(block.window, n, m) * block.heads for block, n, m in maps
    ]
    known = [number for number in counted if number is not None]
    every = sum(block.heads * n * m for block, n, m in maps)
    made = [(block, block.kv_heads * (block.head_size + block.value_size) * m * bytes_) for block, _, m in maps]
    lent = sum(size for block, size in made if block.lent)
    scores = known if len(known) == len(counted) else [block.heads * n * m for block, n, m in maps]
    return Cost(
        tokens=tokens,
        scores=tokens * tokens,
        all_scores=every,
        seen=sum(known) if len(known) == len(counted) else None,
        linear_flops=_linear(shape, lengths),
        attention_flops=sum(
            2 * (block.head_size + block.value_size) * number
            for (block, _, _), number in zip(maps, scores, strict=True)
        ),
        keys_values=sum(size for block, size in made if block.own),
        one_layer=lent + max((size for block, size in made if block.own and not block.lent), default=0),
        weights=every * exact,
        model=None if shape.parameters is None else shape.parameters * bytes_,
        activations=state_memory(shape, lengths, bytes_=bytes_) + lent + _tiles(maps, bytes_),
        kept=_kept(maps) + TOKEN_BYTES * sum(lengths),
    )


def _lengths(shape: ModelShape, tokens: int, target: int | None) -> list[int]:
    return [tokens] if len(shape.stacks) == 1 else [tokens, TARGET_TOKENS if target is None else target]


def _maps(shape: ModelShape, lengths: list[int]) -> Iterator[tuple[AttentionBlock, int, int]]:
    """Yield the attention of each layer, with its N and M."""
    for stack, length in zip(shape.stacks, lengths, strict=True):
        for block in stack.blocks:
            yield block, length, lengths[0] if block.kind == "cross" else length


def _linear(shape: ModelShape, lengths: list[int]) -> int | None:
    total = 0
    for stack, length in zip(shape.stacks, lengths, strict=True):
        if stack.linear is None:
            return None
        total += 2 * (stack.linear * length + stack.remembered * lengths[0])
    return total


def state_memory(shape: ModelShape, lengths: Sequence[int], *, bytes_: int) -> int:
    """Return the bytes of the hidden states, and of the largest intermediate result of an MLP or attention.

    ``lengths`` are the numbers of tokens of the stacks.
    """
    most = 0
    for stack, length in zip(shape.stacks, lengths, strict=True):
        widest = max((block.heads + block.kv_heads) * block.head_size for block in stack.blocks)
        inner = max(2 * stack.inner * min(length, TOGETHER), 4 * max(widest, stack.mixed) * length)
        most = max(most, (3 * stack.width * length + inner) * bytes_)
    return most


def _tiles(maps: list[tuple[AttentionBlock, int, int]], bytes_: int) -> int:
    return _TILES * min(TILE, max(block.heads * n * m for block, n, m in maps)) * max(4, bytes_)


def _kept(maps: list[tuple[AttentionBlock, int, int]]) -> int:
    """Return the bytes that ``HeadSums`` and ``Units`` keep, and of the record made from
    them.
    """
    return 2 * sum(
        block.heads * (8 * n * LINKS_PER_QUERY + 8 * m + 12 * (n + m) + 4 * min(n, MAP_CELLS) * min(m, MAP_CELLS))
        for block, n, m in maps
    )
