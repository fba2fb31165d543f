"""Decoding of a stream of any length: as UTF-8, or as the encoding that charset-normalizer guesses."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

from attnviz.batch.input.options import Unreadable
from attnviz.encoding.file_types import file_type

BLOCK = 1 << 16
"""The bytes of a block. Blocks are filled up, so that the way in which a pipe cuts its data changes nothing."""
_SAMPLE = 1 << 13
_MARK = "attnviz.mark"
_MARKED = "\udfff"
_LONE = re.compile("[\ud800-\udfff]")
_CONTROLS = bytes({*range(32), 0x7F} - set(b"\b\t\n\f\r\x1a\x1b"))
# Longest first: UTF-32's mark begins as UTF-16's does. These codecs take the mark away themselves.
_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What texts of the web that are no UTF-8 are in, nearly all of them (https://encoding.spec.whatwg.org); where several
# fit a text equally well, the first here is taken.
_LIKELY = (
    *("cp1252", "cp1251", "cp1250", "iso8859_2", "iso8859_15", "gb18030", "cp932", "euc_jp", "big5", "cp949", "koi8_r"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874", "cp866", "koi8_u", "iso8859_5"),
    *("iso8859_6", "iso8859_7", "iso8859_8", "iso8859_13"),
)


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that can't be decoded by a lone surrogate, which ``mend`` finds and counts in each document."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARKED, error.end


codecs.register_error(_MARK, _mark)


def mend(text: str) -> tuple[str, int]:
    """The ``text`` with U+FFFD for lone surrogates, which stand for undecodable bytes; and how many there were."""
    return (text, 0) if text.isascii() else _LONE.subn("\ufffd", text)


class Decoded:
    """Iterates over the text of ``pieces`` of bytes, once. Call ``mend`` on each document of it.

    A byte order mark decides the encoding; without one it is UTF-8. The first block of ``size`` bytes that is not UTF-8
    decides for the rest: if most of its letters are UTF-8, or letters before it were, the file is UTF-8 with damaged
    bytes; else charset-normalizer guesses, and ``note`` says what ("read as cp1252").

    Raises:
        Unreadable: the beginning is not text; or raised by the pieces.
    """

    def __init__(self, pieces: Iterable[bytes], size: int = BLOCK) -> None:
        self.note = ""
        self._blocks = _blocks(pieces, size)

    def __iter__(self) -> Iterator[str]:
        held, ascii_only, first = b"", True, True
        decoder: codecs.IncrementalDecoder | None = None
        for block, last in self._blocks:
            data = held + block
            if first:
                decoder = self._by_order_mark(data)
                data = data.removeprefix(codecs.BOM_UTF8)
            if decoder is None:
                try:
                    text, used = codecs.utf_8_decode(data, "strict", last)
                    held = data[used:]
                    if first:
                        _require_text(data)
                except UnicodeDecodeError:
                    held, decoder = b"", self._decide(data, last, ascii_only=ascii_only, first=first)
                    text = decoder.decode(data, last)
            else:
                text = decoder.decode(data, last)
            ascii_only, first = ascii_only and text.isascii(), False
            yield text

    def _by_order_mark(self, data: bytes) -> codecs.IncrementalDecoder | None:
        codec = next((codec for mark, codec in _ORDER_MARKS.items() if data.startswith(mark)), None)
        return self._read_as(codec) if codec else None

    def _decide(self, data: bytes, last: bool, *, ascii_only: bool, first: bool) -> codecs.IncrementalDecoder:
        if first and (file_type(data) or _controls(data) > max(1, len(data) // 50)):
            raise Unreadable(_no_text(data))
        marked = data.decode("utf-8", _MARK)
        bad = marked.count(_MARKED)
        letters = sum(not character.isascii() for character in marked) - bad
        if not ascii_only or 2 * letters > bad or _is_surrogates(data, last):
            return codecs.getincrementaldecoder("utf-8")(_MARK)
        codec = _guess(data)
        if codec is None and first:
            raise Unreadable(_no_text(data))
        return self._read_as(codec) if codec else codecs.getincrementaldecoder("utf-8")(_MARK)

    def _read_as(self, codec: str) -> codecs.IncrementalDecoder:
        self.note = f"read as {codec}"
        return codecs.getincrementaldecoder(codec)(_MARK)


def _blocks(pieces: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Yield blocks of ``size`` bytes, each with whether it is the last; the bytes before an error come before it."""
    held = bytearray()
    try:
        for piece in pieces:
            held += piece
            while len(held) > size:  # one is held back until it is known whether more follows
                yield bytes(held[:size]), False
                del held[:size]
    except Unreadable:
        yield bytes(held), False
        raise
    yield bytes(held), True


def _require_text(data: bytes) -> None:
    """Raise for bytes that are UTF-8 and yet not text. A few NULs in a text are allowed."""
    zeros = data.count(0)
    if zeros and (file_type(data) or data[257:262] == b"ustar" or 5 * zeros >= 2 * len(data)):
        raise Unreadable(_no_text(data))


def _no_text(data: bytes) -> str:
    return f"it is no text ({file_type(data) or 'binary'})"


def _controls(data: bytes) -> int:
    return len(data) - len(data.translate(None, _CONTROLS))


def _is_surrogates(data: bytes, last: bool) -> bool:
    """Whether the only errors are surrogates encoded as UTF-8, as some programs write them."""
    try:
        codecs.utf_8_decode(data, "surrogatepass", last)
    except UnicodeDecodeError:
        return False
    return True


def _guess(data: bytes) -> str | None:
    """The most likely codec of the lines that are not ASCII; None if none fits."""
    from charset_normalizer import from_bytes

    sample, whole = b"", True
    for line in data.split(b"\n"):
        if not line.isascii():
            sample += line.replace(b"\0", b"") + b"\n"
        if len(sample) > _SAMPLE:
            sample, whole = sample[:_SAMPLE], False
            break
    # Where a cut may go through a character, codecs of several bytes a character get another chance without its half.
    cuts = (sample,) if whole else (sample[: len(sample) - cut] for cut in range(4))
    matches = [match for cut in cuts for match in from_bytes(cut, cp_isolation=list(_LIKELY))]
    if not matches:
        return None
    best = min((match.chaos, -match.coherence) for match in matches)
    ties = {
        name for match in matches if (match.chaos, -match.coherence) == best for name in match.could_be_from_charset
    }
    return next((name for name in _LIKELY if name in ties), None)
