"""The tensors of a GGUF file under transformers' names, each dequantised when it is accessed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.checkpoint.gguf.architecture import Stored
from attnviz.checkpoint.gguf.header import Header, StoredTensor
from attnviz.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_INSTALL = "Install it: python -m pip install 'attnviz[gguf]'"


@dataclass(frozen=True)
class Place:
    """Where one tensor of a model lies.

    Args:
        parts: the tensors of the file that it is made of, one or two.
        how: how it is stored, where that is not as in transformers.
        heads: the numbers of query heads and of key-value heads of its rows, for the ways that go by heads.
        expert: which of the tensors along its first axis it is.
    """

    parts: tuple[StoredTensor, ...]
    how: Stored | None = None
    heads: tuple[int, int] = (1, 1)
    expert: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, as in transformers."""
        shape, *others = (part.shape if self.expert is None else part.shape[1:] for part in self.parts)
        match self.how:
            case "transposed":
                return (*shape[:-2], shape[-1], shape[-2])
            case "row":
                return (1, *shape)
            case "stacked":
                return (*shape[:-2], shape[-2] + others[0][-2], shape[-1])
            case "alternating":
                return (shape[0], *shape[2:], 2 * shape[1])
            case "by head":
                return (shape[0] * (shape[2] + others[0][1]), shape[1])
        return shape


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
            for part in place.parts:
                _layout(path, name, part, len(self._data))
            _require_partner(path, name, place)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._places, self.misread)

    def __getitem__(self, name: str) -> Tensor:
        import torch

        place = self._places[name]
        arrays = [dequantise(self._path, self._data, name, part, place.expert) for part in place.parts]
        return torch.from_numpy(np.require(_restored(arrays, place.how, *place.heads), np.float32, ["C", "W"]))

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
    order = {name: number for number, name in enumerate(names)}
    found, others = [], []
    for name, tensor in header.tensors.items():
        plain, layer, number = _without_numbers(name)
        stem, _, last = plain.rpartition(".")
        if plain in names:
            found.append((order[plain], plain, names[plain], layer, number, tensor))
        elif stem in names and last in ("weight", "bias"):
            found.append((order[stem], plain, f"{names[stem]}.{last}", layer, number, tensor))
        else:
            others.append(name)
    places: dict[str, Place] = {}
    for _, plain, target, layer, number, tensor in sorted(found, key=lambda each: each[0]):  # two of one in their order
        stem = plain.rpartition(".")[0]
        how = next((how for end, how in stored.items() if stem.endswith(end) or plain.endswith(end)), None)
        which = (heads[1], heads[1]) if how == "pairs" and stem.endswith("attn_k") else heads
        if number or target.count("{}") < 2:
            name = target.format(layer, number)
            before = places[name].parts if name in places else ()
            places[name] = Place((*before, tensor), how, which)
        else:
            for expert in range(tensor.shape[0]):
                places[target.format(layer, expert)] = Place((tensor,), how, which, expert)
    return places, tuple(others)


def _without_numbers(name: str) -> tuple[str, str, str]:
    """Return the name of a tensor with {} for its layer and its expert, and their numbers, empty where it has none."""
    layer, expert = re.search(r"blk\.(\d{1,9})\.", name), re.search(r"\.(\d{1,9})\.(?:weight|bias)$", name)
    plain = name if layer is None else name.replace(f"blk.{layer[1]}.", "blk.{}.", 1)
    if expert is not None:
        plain = f"{plain[: -len(expert[0])]}.{{}}{expert[0].removeprefix(f'.{expert[1]}')}"
    return plain, layer[1] if layer else "", expert[1] if expert else ""


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


_OF_TWO = ("stacked", "alternating", "by head")


def _require_partner(path: Path, name: str, place: Place) -> None:
    """Raise if a tensor is not made of as many as it should be, or of such as do not belong together."""
    two = place.how in _OF_TWO
    shapes = [part.shape for part in place.parts]
    good = len(shapes) == 1 + two
    if two and good:
        one, other = shapes
        good = len(one) == len(other) == 3 and one[0] == other[0] if place.how == "by head" else one == other
        good = good and (place.how != "by head" or one[1] == other[2])
    if not good:
        raise ModelError(
            f"{path} is truncated or corrupt: {name} is made of tensors of the shapes {shapes}, expected "
            f"{'two that belong together' if two else 'one'}",
            hint="Download it again.",
        )


def _restored(
    arrays: Sequence[np.ndarray[Any, Any]], how: Stored | None, heads: int, groups: int
) -> np.ndarray[Any, Any]:
    """Return the stored ``arrays`` of a tensor as transformers has it."""
    array = arrays[0]
    match how:
        case "transposed":
            return array.swapaxes(-1, -2)
        case "plus one":
            return array - np.float32(1)
        case "row":
            return array.reshape(1, *array.shape)
        case "stacked":
            return np.concatenate(arrays, axis=-2)
        case "alternating":
            turned = np.stack(arrays, axis=2).reshape(len(array), -1, *array.shape[2:])  # (E, F, 2, …) → (E, 2·F, …)
            return turned.swapaxes(-1, -2) if turned.ndim > 2 else turned
        case "by head":
            keys, values = array.swapaxes(1, 2), arrays[1]  # (H, n, R), (H, v, R)
            return np.concatenate((keys, values), axis=1).reshape(-1, keys.shape[-1])
        case "pairs":
            pairs = array.reshape(heads, -1, 2, *array.shape[1:])  # (H·D, …) → (H, D/2, 2, …)
            return pairs.swapaxes(1, 2).reshape(array.shape)
        case "apart":
            size = array.shape[0] // (heads + 2 * groups)
            q, k, v = np.split(array, [heads * size, (heads + groups) * size])
            parts = [each.reshape(groups, -1, size, *array.shape[1:]) for each in (q, k, v)]  # → (G, n, D, …)
            return np.concatenate(parts, axis=1).reshape(array.shape)
    return array
