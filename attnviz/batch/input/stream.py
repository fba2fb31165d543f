"""The bytes of an input: counted as they are read, and decompressed."""

from __future__ import annotations

import bz2
import io
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import BinaryIO, Self

from attnviz.batch.input.options import Unreadable
from attnviz.batch.storage.errors import as_os_error, reason

PACKINGS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Suffixes of compressed files, and their compression."""
_PIECE = 1 << 16
_PACKED = 1 << 12
"""Compressed bytes that are decompressed together: they may hold a thousand times as many."""
_MAGIC = {"gzip": rb"\x1f\x8b\x08", "zstd": rb"\x28\xb5\x2f\xfd", "bz2": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"}


class Stream:
    """An open input.

    Args:
        raw: the file.
        packing: its compression; "" for none, and None if the first bytes are to tell.
        meter: called with the number of bytes of each read; of a file of known ``size`` they add up to it.
        size: the bytes of the file; 0 if unknown.
    """

    def __init__(
        self, raw: BinaryIO, packing: str | None = "", *, meter: Callable[[int], None] | None = None, size: int = 0
    ) -> None:
        self._counted = _Counted(raw, meter, size)
        self._file = io.BufferedReader(self._counted, _PIECE)
        self._given = packing
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._counted.finish()

    def pieces(self) -> Iterator[bytes]:
        """Yield the decompressed bytes.

        Raises:
            Unreadable: they can't be read or decompressed any further.
        """
        packing = self._packing()
        try:
            yield from _UNPACK[packing](self._file)
        except EOFError:
            raise Unreadable(f"the {packing} data ends too early") from None
        except (OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno:
                raise Unreadable(why(error)) from None
            raise Unreadable(f"the {packing} data is broken ({error})" if packing else why(error)) from None

    def seekable(self) -> BinaryIO:
        """The decompressed bytes as a seekable file: the input itself, or a copy of it on disk.

        Raises:
            Unreadable: as ``pieces``.
        """
        if not self._packing() and self._file.seekable():
            return self._file
        copy = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        for piece in self.pieces():
            copy.write(piece)
        copy.seek(0)
        return copy

    def _packing(self) -> str:
        if self._given is None:
            start = self._file.peek(10)
            self._given = next((name for name, magic in _MAGIC.items() if re.match(magic, start)), "")
        return self._given


def why(error: Exception) -> str:
    """Why a file or folder can't be read."""
    return f"it can't be read ({reason(error)})"


class _Counted(io.RawIOBase):
    """A file that counts the bytes that are read from it, and raises OSError for whatever a library raises."""

    def __init__(self, raw: BinaryIO, meter: Callable[[int], None] | None, size: int) -> None:
        self._raw, self._meter, self._size, self._count = raw, meter, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer: typeshed's type is private
        with as_os_error():
            data = self._raw.read(len(buffer)) or b""
        buffer[: len(data)] = data
        self._add(len(data))
        return len(data)

    def finish(self) -> None:
        """Count what was not read: other columns of a table, the rest of a file that was given up."""
        self._add(max(self._size - self._count, 0))

    def _add(self, count: int) -> None:
        if self._size:  # a table's foot is read twice
            count = min(count, self._size - self._count)
        self._count += count
        if self._meter and count:
            self._meter(count)


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    """Decompress one ``gzip`` member after the other, up to the very byte that breaks one."""
    unpacker, data = None, b""
    first = True
    while data := data or file.read(_PACKED):
        if unpacker is None:
            data = data if first else data.lstrip(b"\0")  # padding, as tapes have it
            first = False
            if not data:
                continue
            unpacker = zlib.decompressobj(wbits=31)
        before = unpacker.copy()
        try:
            yield unpacker.decompress(data)
        except zlib.error:
            for at in range(len(data)):
                yield before.decompress(data[at : at + 1])
            raise
        data = unpacker.unused_data
        unpacker = None if unpacker.eof else unpacker
    if unpacker is not None:
        raise EOFError


def _bunzip(file: BinaryIO) -> Iterator[bytes]:
    with bz2.BZ2File(file) as unpacked:
        while piece := unpacked.read1(_PIECE):
            yield piece


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    import pyarrow as pa

    unpacked = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
    while piece := unpacked.read(_PIECE >> 4):  # in an error, what was unpacked of the piece is lost
        yield piece


_UNPACK: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "": _plain,
    "gzip": _gunzip,
    "bz2": _bunzip,
    "zstd": _unzstd,
}
