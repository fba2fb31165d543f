"""Verify the header of a GGUF file before a library reads it: what it claims must fit into the file.

A header says how many tensors, settings, characters and list items follow. A reader that trusts false numbers reads
forever, or allocates more memory than there is. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

from attnviz.errors import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""The size in bytes of a value of each fixed-size type; the other types are strings and lists."""
_STRING, _LIST = 8, 9
_INTEGERS = {4: "<I", 5: "<i", 10: "<Q", 11: "<q"}
_LEAST_SETTING, _LEAST_TENSOR = 8 + 4 + 1, 8 + 4 + 4 + 8
_MOST_DIMENSIONS = 4


def require_header(path: Path) -> None:
    """Raise if the header of the GGUF file ``path`` claims more than the file holds, or more layers than tensors.

    Raises:
        ModelError: the header is wrong, or the file is not GGUF; the message has the numbers.
    """
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise ModelError(f"{path} is not a GGUF file", hint="Download it again.")
        try:
            _Header(file, path.stat().st_size).walk()
        except (ValueError, struct.error) as error:
            said = "it ends within its header" if isinstance(error, struct.error) else str(error)
            raise ModelError(f"{path} is truncated or corrupt: {said}", hint="Download it again.") from None


class _Header:
    """The header of a file of ``size`` bytes whose magic has been read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def walk(self) -> None:
        """Read the whole header, and raise a ``ValueError`` at the first claim that can't be true."""
        version = self._number("<I")
        if version not in _VERSIONS:
            raise ValueError(f"its version is {version}, expected 2 or 3")
        tensors, settings = self._number("<Q"), self._number("<Q")
        self._require(tensors, _LEAST_TENSOR, "tensors")
        self._require(settings, _LEAST_SETTING, "settings")
        alignment = 32
        for _ in range(settings):
            name, value = self._string(), self._value(self._number("<I"))
            if name.endswith(b".block_count") and value is not None and value > tensors:
                raise ValueError(f"its header claims {value:,} layers and has {tensors:,} tensors")
            if name == b"general.alignment" and value:
                alignment = value
        ends = [self._tensor() for _ in range(tensors)]
        start = -(-self._file.tell() // alignment) * alignment
        if start + max(ends, default=0) > self._size:
            raise ValueError(f"its tensors go up to byte {start + max(ends):,}, and the file has {self._size:,}")

    def _tensor(self) -> int:
        """Read one tensor's entry; return the byte at which its data ends at the earliest, counted from the first
        tensor.
        """
        name, dimensions = self._string(), self._number("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"its header claims {dimensions:,} dimensions of {name[:80]!r}")
        size = math.prod(self._number("<Q") for _ in range(dimensions))
        self._number("<I")
        return self._number("<Q") + size // 8  # no type of number takes less than a bit

    def _value(self, kind: int, depth: int = 0) -> int | None:
        """Skip a value, and return it if it is a whole number."""
        if kind in _INTEGERS:
            return self._number(_INTEGERS[kind])
        if kind == _STRING:
            self._string()
        elif kind == _LIST and depth < 2:
            inner, count = self._number("<I"), self._number("<Q")
            self._require(count, _BYTES.get(inner, 8), "items of a list")
            if inner in _BYTES:
                self._skip(count * _BYTES[inner])
            else:
                for _ in range(count):
                    self._value(inner, depth + 1)
        elif kind in _BYTES:
            self._skip(_BYTES[kind])
        else:
            raise ValueError(f"its header has a value of the unknown type {kind}")
        return None

    def _string(self) -> bytes:
        length = self._number("<Q")
        self._require(length, 1, "bytes of a string")
        return self._file.read(length)

    def _number(self, form: str) -> int:
        value: int = struct.unpack(form, self._file.read(struct.calcsize(form)))[0]
        return value

    def _skip(self, count: int) -> None:
        self._file.seek(count, 1)

    def _require(self, count: int, least: int, what: str) -> None:
        """Raise if ``count`` items of at least ``least`` bytes each do not fit into the rest of the file."""
        left = self._size - self._file.tell()
        if count * least > left:
            raise ValueError(f"its header claims {count:,} {what}, and {left:,} bytes follow")
