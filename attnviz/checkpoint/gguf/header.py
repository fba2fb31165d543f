"""Read the header of a GGUF file, and verify it: what it claims must fit into the file.

A header says how many tensors, settings, characters and list items follow. A reader that trusts false numbers reads
forever, or allocates more memory than there is. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnviz.errors import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""How ``struct`` writes each type of value of a fixed size; the other types are strings and lists."""
_STRING, _LIST = 8, 9
_LEAST_SETTING, _LEAST_TENSOR = 8 + 4 + 1, 8 + 4 + 4 + 8
_MOST_DIMENSIONS = 4
_MOST_BYTES = 256 << 20
"""The limit for the size of a header: several times the largest vocabulary's."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Args:
        shape: its shape, as in torch.
        kind: the number of its type, as ggml counts them.
        start: the byte of the file at which it begins.
    """

    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True)
class Header:
    """What a GGUF file says about itself: its settings, and where its tensors lie."""

    settings: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]


def is_gguf(path: Path) -> bool:
    """Whether the file at ``path`` begins as GGUF files do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_header(path: Path) -> Header:
    """Read the header of the GGUF file ``path``.

    Raises:
        ModelError: it claims more than the file holds, or more layers than tensors; or the file is not GGUF.
    """
    if not is_gguf(path):
        raise ModelError(f"{path} is not a GGUF file", hint="Download it again.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _Reader(data).read()
        except (ValueError, struct.error) as error:
            said = "it ends within its header" if isinstance(error, struct.error) else str(error)
            raise ModelError(f"{path} is truncated or corrupt: {said}", hint="Download it again.") from None


class _Reader:
    """Reads the header of the file ``data`` from behind its magic on."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._size, self._at = data, len(data), len(_MAGIC)

    def read(self) -> Header:
        """Read the whole header, and raise a ``ValueError`` at the first claim that can't be true."""
        version = self._number("I")
        if version not in _VERSIONS:
            raise ValueError(f"its version is {version}, expected 2 or 3")
        count, said = self._number("Q"), self._number("Q")
        self._require(count, _LEAST_TENSOR, "tensors")
        self._require(said, _LEAST_SETTING, "settings")
        settings: dict[str, Any] = {}
        for _ in range(said):
            name = self._string()
            settings[name] = value = self._value(self._number("I"))
            if name.endswith(".block_count") and isinstance(value, int) and value > count:
                raise ValueError(f"its header claims {value:,} layers and has {count:,} tensors")
        tensors = dict(self._tensor() for _ in range(count))
        if len(tensors) < count:
            raise ValueError("its header has tensors of the same name")
        alignment = settings.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"its general.alignment is {alignment!r}")
        start = -(-self._at // alignment) * alignment
        # No type of number takes less than a bit.
        end = max((start + each.start + math.prod(each.shape) // 8 for each in tensors.values()), default=0)
        if end > self._size:
            raise ValueError(f"its tensors go up to byte {end:,}, and the file has {self._size:,}")
        moved = {name: StoredTensor(each.shape, each.kind, start + each.start) for name, each in tensors.items()}
        return Header(settings, moved)

    def _tensor(self) -> tuple[str, StoredTensor]:
        """Read one tensor's entry; its start is counted from that of all tensors."""
        name, dimensions = self._string(), self._number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"its header claims {dimensions:,} dimensions of {name[:80]!r}")
        shape = tuple(self._number("Q") for _ in range(dimensions))[::-1]
        return name, StoredTensor(shape, kind=self._number("I"), start=self._number("Q"))

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind in _FORMS:
            return self._number(_FORMS[kind])
        if kind == _STRING:
            return self._string()
        if kind != _LIST or depth > 1:
            raise ValueError(f"its header has a value of the unknown type {kind}")
        inner, count = self._number("I"), self._number("Q")
        form = _FORMS.get(inner)
        self._require(count, struct.calcsize(f"<{form}") if form else 8, "items of a list")
        if form:
            values = struct.unpack_from(f"<{count}{form}", self._data, self._at)
            self._at += struct.calcsize(f"<{count}{form}")
            return values
        return tuple(self._value(inner, depth + 1) for _ in range(count))

    def _string(self) -> str:
        length = self._number("Q")
        self._require(length, 1, "bytes of a string")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", "replace")

    def _number(self, form: str) -> Any:
        found = struct.unpack_from(f"<{form}", self._data, self._at)[0]
        self._at += struct.calcsize(f"<{form}")
        if self._at > _MOST_BYTES:
            raise ValueError(f"its header has more than {_MOST_BYTES >> 20:,} MiB, and no model's has")
        return found

    def _require(self, count: int, least: int, what: str) -> None:
        """Raise if ``count`` items of at least ``least`` bytes each do not fit into the rest of the file."""
        left = self._size - self._at
        if count * least > left:
            raise ValueError(f"its header claims {count:,} {what}, and {left:,} bytes follow")
