"""The sizes that a config asks for, held against the tensors: what no model has is refused before it is built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attnviz.errors import ModelError

MAX_LAYERS = 10_000
MAX_SIZE = 1 << 25
"""The most layers, and the most of anything else that a config may ask for: many times what published models have."""

_WIDTHS = ("hidden_size", "d_model", "n_embd", "dim", "vocab_size", "intermediate_size", "ffn_dim", "d_ff", "n_inner")
"""Sizes that some tensor of the checkpoint has."""
_SIZE = re.compile(r"(size|dim|heads?|experts|embeddings|positions|len|num|groups|buckets|d_model|n_embd|d_ff|inner)$")
_LAYERS = re.compile(r"(^|_)layers?$")


def size_limit(name: str) -> int | None:
    """The most that a config may ask of the size ``name``; None where it is no size, or one that costs nothing."""
    if _LAYERS.search(name):
        return MAX_LAYERS
    return MAX_SIZE if _SIZE.search(name) and "window" not in name else None


def require_sizes(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
    """Raise where ``config`` asks for more than any model has, or than the ``shapes`` of the checkpoint's tensors.

    Raises:
        ModelError: with the number, and what the tensors say.
    """
    for name, value in _sizes(config):
        bound = size_limit(name)
        if bound is not None and value > bound:
            said = f"; {_outline(shapes)}" if shapes else ""
            raise ModelError(f"config.json: {name} is {value:,}, and no model has more than {bound:,}{said}")
    if not shapes:
        return
    largest = max((max(shape, default=1) for shape in shapes.values()), default=1)
    packed = "quantization_config" in config
    for name, value in _sizes({name: value for name, value in config.items() if not isinstance(value, Mapping)}):
        bound = len(shapes) if _LAYERS.search(name) else largest if name in _WIDTHS and not packed else None
        if bound is not None and value > bound:
            raise ModelError(
                f"config.json: {name} is {value:,}; {_outline(shapes)}",
                hint="config.json and the weights do not belong together: download the model again.",
            )


def _sizes(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The whole numbers of the config and of the parts inside it."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _sizes(value)
        elif isinstance(value, int):
            yield str(name), value


def _outline(shapes: Mapping[str, tuple[int, ...]]) -> str:
    layers = [int(number) for name in shapes for number in re.findall(r"(?<=\.)\d{1,9}(?=\.)", name)]
    named = f", of layers up to number {max(layers):,}" if layers else ""
    largest = max((max(shape, default=1) for shape in shapes.values()), default=1)
    return f"the checkpoint has {len(shapes):,} tensors{named}, and the longest side of one is {largest:,}"
