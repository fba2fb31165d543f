"""Read a text from a file or standard input: no more than memory can hold, and only if it is text."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from attnviz.errors import InputError

if TYPE_CHECKING:
    from attnviz.encoding import Lexicon

BYTES_PER_BYTE = 400
"""The memory to encode a text, per byte; measured with both kinds of tokenizer on prose (200), and on random letters,
which become many tokens (400)."""
DEFAULT_BYTES = 1 << 26
"""The most bytes that are read if the free memory is unknown."""
_PIECE = 1 << 20


def read_file(path: Path) -> str:
    """Read the text in ``path``.

    Raises:
        InputError: it can't be read, is larger than memory can hold, or is not text in UTF-8.
    """
    try:
        with path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            size = found.st_size if stat.S_ISREG(found.st_mode) else 0
            return _read(stream, str(path), size)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror})") from None
    except ValueError as error:  # a name with a NUL in it
        raise InputError(f"{path} can't be read ({error})") from None


def decode_argument(text: str) -> str:
    """Decode a command-line argument as UTF-8, even if the locale only knows ASCII and left other bytes undecoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        with contextlib.suppress(UnicodeError):
            return os.fsencode(text).decode()
    return text


def read_words(path: Path | None) -> Lexicon | None:
    """Read known words from ``path``: a list, or JSON that may also say where they are; return None without a file.

    Raises:
        InputError: as ``read_file``; or it has no words, or invalid ones.
    """
    if path is None:
        return None
    from attnviz.encoding import parse_words

    return parse_words(read_file(path), str(path), as_json=path.suffix == ".json")


def read_standard_input() -> str:
    """Read the text from standard input, up to its end.

    Raises:
        InputError: as ``read_file``; or standard input is closed.
    """
    if sys.stdin is None:
        raise InputError(
            "standard input is closed", hint='Give the text as an argument, or pipe it: echo "…" | attnviz show -'
        )
    try:
        return _read(sys.stdin.buffer, "standard input")
    except OSError as error:  # it was closed, or is not readable
        raise InputError(f"standard input can't be read ({error.strerror or error})") from None


def max_text_bytes() -> int:
    """Return how many bytes a text may have."""
    from attnviz.attention.memory import free_memory

    free = free_memory()
    return DEFAULT_BYTES if free is None else free // BYTES_PER_BYTE


def _read(stream: IO[bytes], name: str, size: int = 0) -> str:
    """Read in pieces, so that an endless device or pipe is noticed."""
    bound = max_text_bytes()
    if size > bound:
        raise _too_large(name, size, "", bound)
    data = bytearray()
    while piece := stream.read(_PIECE):
        data += piece
        _require_text(data, name)
        if len(data) > bound:
            raise _too_large(name, len(data), " and goes on", bound)
    return _decode(bytes(data), name)


def _too_large(name: str, size: int, more: str, bound: int) -> InputError:
    from attnviz.attention.memory import in_words

    return InputError(
        f"{name} has {in_words(size)}{more}: there is memory to cut {in_words(bound)} of text into tokens",
        hint="Give a part of it: head -c 1000000 FILE | attnviz show -",
    )


def _require_text(data: bytearray, name: str) -> None:
    """Raise if the first bytes show that this is not text."""
    from attnviz.encoding.file_types import file_type

    kind = file_type(data)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name} is UTF-16, expected UTF-8", hint="Convert it: iconv -f utf-16 -t utf-8 FILE")
    if kind:
        raise InputError(
            f"{name} is {kind}, expected plain text in UTF-8", hint="Save its text as a .txt file, and give that."
        )
    at = data.find(b"\0", 0, 4 * _PIECE)
    if at >= 0:
        raise InputError(
            f"{name} is not text (a NUL byte at {at:,}), expected plain text in UTF-8",
            hint="Save its text as a .txt file, and give that.",
        )


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not UTF-8 (byte 0x{data[error.start]:02x} at {error.start})",
            hint="Convert it: iconv -f latin1 -t utf-8 FILE",
        ) from None
