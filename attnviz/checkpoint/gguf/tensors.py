"""The tensors of a GGUF file under transformers' names, each dequantised when it is accessed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.checkpoint.gguf.architectures import Stored
from attnviz.checkpoint.gguf.header import Header, StoredTensor
from attnviz.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_INSTALL = "Install it: python -m pip install 'attnviz[gguf]'"


@dataclass(frozen=True)
class Place:
    """Where one tensor of a model lies.

    Args:
        stored: the tensor of the file.
        how: how it is stored, where that is not as in transformers.
        heads: the numbers of query heads and of key-value heads of its rows, for the two ways that go by heads.
        expert: which of the tensors along its first axis it is.
    """

    stored: StoredTensor
    how: Stored | None = None
    heads: tuple[int, int] = (1, 1)
    expert: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, as in transformers."""
        shape = self.stored.shape if self.expert is None else self.stored.shape[1:]
        return shape[::-1] if self.how == "transposed" else shape


class GgufTensors(Mapping[str, "Tensor"]):
    """The tensors of the file ``path`` at their ``places``, memory-mapped.

    A tensor is dequantised to float32 by the package ``gguf`` at each access, and not kept here: no more memory is
    taken than that of the tensor at hand.

    Raises:
        ModelError: a tensor is of an unknown type, or goes beyond the end of the file; or ``gguf`` is not installed.
    """

    def __init__(self, path: Path, places: Mapping[str, Place], *, misread: bool = False) -> None:
        self._path, self._places, self.misread = path, places, misread
        self._data = np.memmap(path, mode="r")
        for name, place in places.items():
            _layout(path, name, place.stored, len(self._data))

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._places, self.misread)

    def __getitem__(self, name: str) -> Tensor:
        import torch

        place = self._places[name]
        array = dequantise(self._path, self._data, name, place.stored, place.expert)
        return torch.from_numpy(np.require(_restored(array, place.how, *place.heads), np.float32, ["C", "W"]))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor, read from the file's header."""
        return {name: place.shape for name, place in self._places.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _reopen(path: Path, places: Mapping[str, Place], misread: bool) -> GgufTensors:
    return GgufTensors(path, places, misread=misread)


def find_places(
    header: Header, names: Mapping[str, str], stored: Mapping[str, Stored], heads: tuple[int, int]
) -> tuple[dict[str, Place], tuple[str, ...]]:
    """Return where each tensor lies, by transformers' names, and the tensors of the file that have none.

    Args:
        header: the file's header.
        names: the names of the tensors, {GGUF's: transformers'}, without their last parts.
        stored: how tensors are stored otherwise, by the end of their name.
        heads: how many query heads and key-value heads there are.
    """
    places: dict[str, Place] = {}
    others = []
    for name, tensor in header.tensors.items():
        layer = "".join(re.findall(r"^blk\.(\d{1,9})\.", name))
        plain, _, last = (name.replace(f"blk.{layer}.", "blk.{}.", 1) if layer else name).rpartition(".")
        if plain not in names or last not in ("weight", "bias"):
            others.append(name)
            continue
        ends = (plain, f"{plain}.{last}")
        how = next((how for end, how in stored.items() if any(each.endswith(end) for each in ends)), None)
        which = (heads[1], heads[1]) if how == "pairs" and plain.endswith("attn_k") else heads
        if names[plain].count("{}") > 1:
            for expert in range(tensor.shape[0]):
                places[f"{names[plain].format(layer, expert)}.{last}"] = Place(tensor, how, which, expert)
        else:
            places[f"{names[plain].format(layer)}.{last}"] = Place(tensor, how, which)
    return places, tuple(others)


def dequantise(
    path: Path, data: np.ndarray[Any, Any], name: str, tensor: StoredTensor, expert: int | None = None
) -> np.ndarray[Any, Any]:
    """Return a ``tensor`` of the file ``path``, whose bytes are ``data``, or one of its experts, in float32.

    Raises:
        ModelError: as ``GgufTensors``.
    """
    import gguf

    kind, rows = _layout(path, name, tensor, len(data))
    taken = data[tensor.start : tensor.start + math.prod(rows)].reshape(rows)
    try:
        found = gguf.dequantize(taken if expert is None else taken[expert], kind)
    except NotImplementedError:
        raise ModelError(
            f"{path}: the package gguf can't read the type {kind.name}, of {name}",
            hint="Take the model in another type, such as Q8_0 or Q4_K_M; or a newer gguf.",
        ) from None
    return np.asarray(found, dtype=np.float32)


def _layout(path: Path, name: str, tensor: StoredTensor, size: int) -> tuple[Any, tuple[int, ...]]:
    """Return the type of a ``tensor``, and its shape in bytes, in a file of ``size`` bytes."""
    try:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    except ImportError:
        raise ModelError(f"{path} can't be read without the package gguf", hint=_INSTALL) from None
    try:
        kind = GGMLQuantizationType(tensor.kind)
        numbers, taken = GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        raise ModelError(
            f"{path}: {name} is of the type {tensor.kind}, which the package gguf does not know",
            hint="A newer gguf may: python -m pip install -U gguf",
        ) from None
    *rows, row = tensor.shape or (1,)
    if row % numbers:
        raise ModelError(
            f"{path} is truncated or corrupt: {name} has rows of {row:,} numbers, {kind.name} has blocks of {numbers}",
            hint="Download it again.",
        )
    found = (*rows, row // numbers * taken)
    end = tensor.start + math.prod(found)
    if end > size:
        raise ModelError(
            f"{path} is truncated or corrupt: {name} goes up to byte {end:,}, and the file has {size:,}",
            hint="Download it again.",
        )
    return kind, found


def _restored(array: np.ndarray[Any, Any], how: Stored | None, heads: int, groups: int) -> np.ndarray[Any, Any]:
    """Return a stored ``array`` as transformers has it."""
    if how == "transposed":
        return array.T
    if how == "plus one":
        return array - np.float32(1)
    if how == "pairs":
        pairs = array.reshape(heads, -1, 2, *array.shape[1:])  # (H·D, …) → (H, D/2, 2, …)
        return pairs.swapaxes(1, 2).reshape(array.shape)
    if how == "apart":
        size = array.shape[0] // (heads + 2 * groups)
        q, k, v = np.split(array, [heads * size, (heads + groups) * size])
        parts = [each.reshape(groups, -1, size, *array.shape[1:]) for each in (q, k, v)]  # (G·n·D, …) → (G, n, D, …)
        return np.concatenate(parts, axis=1).reshape(array.shape)
    return array
