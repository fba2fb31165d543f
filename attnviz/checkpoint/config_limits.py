"""Limits for the sizes in a config, so that a damaged or hostile config is refused before a model is built from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attnviz.errors import ModelError, short

MAX_LAYERS = 10_000
MAX_SIZE = 1 << 25
"""The largest number of layers, and the largest value of any other size: many times what published models have."""

_MAX_NUMBER = 1 << 62

_WIDTHS = ("hidden_size", "d_model", "n_embd", "dim", "vocab_size", "intermediate_size", "ffn_dim", "d_ff", "n_inner")
"""Sizes that appear as a dimension of some tensor of the checkpoint."""
_SIZE = re.compile(r"(size|dim|heads?|experts|embeddings|positions|len|num|groups|buckets|d_model|n_embd|d_ff|inner)$")
_LAYERS = re.compile(r"(^|_)layers?$")


def size_limit(name: str) -> int:
    """Return the largest value allowed for ``name``; of what is not a size, or one that costs nothing, what torch's
    whole numbers hold.
    """
    if _LAYERS.search(name):
        return MAX_LAYERS
    return MAX_SIZE if _SIZE.search(name) and "window" not in name else _MAX_NUMBER


def require_sizes(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
    """Raise if a size in ``config`` is larger than in any model, or than the checkpoint's tensors allow.

    Args:
        config: the content of config.json.
        shapes: the shapes of the checkpoint's tensors by name; without them only the fixed limits apply.

    Raises:
        ModelError: a size is too large; the message has the number and what the tensors say.
    """
    for name, value in _sizes(config):
        bound = size_limit(name)
        if value > bound:
            said = f"; {_outline(shapes)}" if shapes else ""
            raise ModelError(f"config.json: {name} is {_spelt(value)}, and no model has more than {bound:,}{said}")
    if not shapes:
        return
    largest = max((max(shape, default=1) for shape in shapes.values()), default=1)
    packed = "quantization_config" in config
    for name, value in _sizes({name: value for name, value in config.items() if not isinstance(value, Mapping)}):
        most = len(shapes) if _LAYERS.search(name) else largest if name in _WIDTHS and not packed else None
        if most is not None and value > most:
            raise ModelError(
                f"config.json: {name} is {value:,}; {_outline(shapes)}",
                hint="config.json and the weights do not belong together: download the model again.",
            )


def _sizes(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield all whole numbers of the config, those of nested configs included."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _sizes(value)
        elif isinstance(value, int):
            yield str(name), value


def _spelt(value: int) -> str:
    return f"{value:,}" if value < 10**40 else short(value)


def _outline(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Describe the tensors in words: how many there are, of which layers, and their longest dimension."""
    layers = [int(number) for name in shapes for number in re.findall(r"(?<=\.)\d{1,9}(?=\.)", name)]
    named = f", of layers up to number {max(layers):,}" if layers else ""
    largest = max((max(shape, default=1) for shape in shapes.values()), default=1)
    return f"the checkpoint has {len(shapes):,} tensors{named}, and the longest side of one is {largest:,}"
