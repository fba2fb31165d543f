"""What a text of so many tokens costs: scores, floating-point operations and memory, reckoned before anything runs.

The shape letters are those of ``kernel.py``. What is reckoned is what attnviz does: weights pass by observers, and no
more than one layer's keys and values are there at a time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from attnviz.attention.block_sizes import TILE, TOGETHER
from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.model.architecture.description import parameters
from attnviz.model.architecture.shapes import tensor_shapes
from attnviz.model.architecture.spec import AttentionSpec, Spec

LINKS_PER_QUERY = 8
"""How many links ``TopLinks`` keeps of each query."""
MAP_CELLS = 256
"""How many cells, down and across, ``Tiles`` keeps of each head."""
TARGET_TOKENS = 32
"""How many tokens a decoder reads that has an encoder: what it writes where no target is given."""

_TILES = (os.cpu_count() or 1) + 3
"""How many arrays of a tile's size there are: in each thread's hands, waiting, and what observers make of them."""
TOKEN_BYTES = 800
"""The bytes that an ``Encoding`` and its making take of each token; measured."""


@dataclass(frozen=True)
class AttentionBlock:
    """One layer's attention: ``heads`` of ``head_size`` share ``kv_heads`` keys and values. A reach of None is unknown.

    ``kind`` is "cross" where a decoder's queries look at an encoder's keys.
    """

    heads: int
    kv_heads: int
    head_size: int
    window: KeyWindow | None = EVERYTHING
    kind: Literal["self", "cross"] = "self"


@dataclass(frozen=True)
class Stack:
    """The layers that one text runs through.

    ``linear`` is how many numbers of matrices each of its tokens is multiplied with, ``remembered`` how many each token
    of the encoder is; None is unknown.
    """

    blocks: tuple[AttentionBlock, ...]
    width: int
    inner: int
    linear: int | None
    remembered: int = 0


@dataclass(frozen=True)
class ModelShape:
    """What a model's cost depends on: its stacks, an encoder's first; its parameters; the tokens that it takes.

    ``unknown`` says in words what a config leaves open, and how it is reckoned.
    """

    stacks: tuple[Stack, ...]
    parameters: int | None
    limit: int | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a text of ``tokens`` costs. FLOPs count multiplications and additions; memory is in bytes.

    ``scores`` is how many a head of one layer has (N²) and ``all_scores`` how many all have; ``seen`` are those of them
    whose query sees the key: no others are needed; None where that is unknown. ``keys_values`` are those of all layers,
    which a model keeps while it writes on; attnviz keeps ``one_layer`` of them. ``weights``: all weights of all heads.
    ``model``, ``activations`` and ``kept`` make the ``peak`` of a run with observers, beside Python and torch
    themselves; what is unknown counts nothing in it.
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
        """The memory of a run with observers."""
        return (self.model or 0) + self.activations + self.kept


def model_shape(spec: Spec) -> ModelShape:
    """What the cost of a native model depends on."""
    stacks = [spec.encoder, spec] if spec.encoder else [spec]
    limits = [stack.limit for stack in stacks if stack.limit is not None]
    return ModelShape(tuple(map(_stack, stacks)), parameters(spec), min(limits, default=None))


def _stack(spec: Spec) -> Stack:
    sizes = {
        name: math.prod(size)
        for name, size in tensor_shapes(spec).items()
        if len(size) == 2 and name.startswith(("layers.", "embed.project", "project.")) and "relative" not in name
    }
    remembered = sum(size for name, size in sizes.items() if ".cross.key" in name or ".cross.value" in name)
    blocks = [_block(layer.attention) for layer in spec.layers]
    blocks += [_block(layer.cross, "cross") for layer in spec.layers if layer.cross]
    inner = max(layer.mlp.size for layer in spec.layers)
    return Stack(tuple(blocks), spec.width, inner, sum(sizes.values()) - remembered, remembered)


def _block(spec: AttentionSpec, kind: Literal["self", "cross"] = "self") -> AttentionBlock:
    return AttentionBlock(spec.heads, spec.kv_heads, spec.head_size, spec.window, kind)


def visible_scores(window: KeyWindow, queries: int, keys: int) -> int:
    """How many scores of ``queries`` × ``keys`` have a query that sees the key."""
    ahead = keys if window.right is None else window.right
    rising = min(queries, max(0, keys - ahead - 1))  # the queries that do not see the last key
    upto = rising * (ahead + 1) + rising * (rising - 1) // 2 + (queries - rising) * keys
    hidden = 0 if window.left is None else max(0, queries - 1 - window.left)
    return upto - hidden * (hidden + 1) // 2


def estimate_cost(shape: ModelShape, tokens: int, *, bytes_: int = 4, target: int | None = None) -> Cost:
    """What ``tokens`` cost a model of ``shape`` whose numbers have ``bytes_``; scores have four at least.

    An encoder reads them; then its decoder reads ``target`` tokens (None: ``TARGET_TOKENS``).
    """
    lengths = _lengths(shape, tokens, target)
    exact = max(4, bytes_)
    maps = list(_maps(shape, lengths))
    counted = [
        None if block.window is None else visible_scores(block.window, n, m) * block.heads for block, n, m in maps
    ]
    known = [number for number in counted if number is not None]
    every = sum(block.heads * n * m for block, n, m in maps)
    stored = [2 * block.kv_heads * block.head_size * m * bytes_ for block, _, m in maps]
    scores = known if len(known) == len(counted) else [block.heads * n * m for block, n, m in maps]
    return Cost(
        tokens=tokens,
        scores=tokens * tokens,
        all_scores=every,
        seen=sum(known) if len(known) == len(counted) else None,
        linear_flops=_linear(shape, lengths),
        attention_flops=sum(4 * block.head_size * number for (block, _, _), number in zip(maps, scores, strict=True)),
        keys_values=sum(stored),
        one_layer=max(stored),
        weights=every * exact,
        model=None if shape.parameters is None else shape.parameters * bytes_,
        activations=state_memory(shape, lengths, bytes_=bytes_) + _tiles(maps, bytes_),
        kept=_kept(maps) + TOKEN_BYTES * sum(lengths),
    )


def _lengths(shape: ModelShape, tokens: int, target: int | None) -> list[int]:
    return [tokens] if len(shape.stacks) == 1 else [tokens, TARGET_TOKENS if target is None else target]


def _maps(shape: ModelShape, lengths: list[int]) -> Iterator[tuple[AttentionBlock, int, int]]:
    """The attention of each layer, with its N and M."""
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
    """The memory of so many tokens in each stack: states, and the most that an MLP or an attention has beside them."""
    most = 0
    for stack, length in zip(shape.stacks, lengths, strict=True):
        widest = max((block.heads + block.kv_heads) * block.head_size for block in stack.blocks)
        inner = max(2 * stack.inner * min(length, TOGETHER), 4 * widest * length)
        most = max(most, (3 * stack.width * length + inner) * bytes_)
    return most


def _tiles(maps: list[tuple[AttentionBlock, int, int]], bytes_: int) -> int:
    return _TILES * min(TILE, max(block.heads * n * m for block, n, m in maps)) * max(4, bytes_)


def _kept(maps: list[tuple[AttentionBlock, int, int]]) -> int:
    """What ``TopLinks``, ``HeadStats``, ``Received`` and ``Tiles`` keep, and the record that is made of it."""
    return 2 * sum(
        block.heads * (n * (8 * LINKS_PER_QUERY + 4) + 8 * m + 4 * min(n, MAP_CELLS) * min(m, MAP_CELLS))
        for block, n, m in maps
    )
