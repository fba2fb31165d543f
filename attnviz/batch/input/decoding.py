"""Bytes become text, in a stream of any length: UTF-8, or what charset-normalizer takes them for."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

from attnviz.batch.input.options import Unreadable
from attnviz.encoding.file_types import file_type

BLOCK = 1 << 16
"""Bytes that are looked at together. Always full, so that how a pipe cuts its data decides nothing."""
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
    """Put a lone surrogate where bytes can't be decoded: ``mend`` finds it in the document that it ends up in."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARKED, error.end


codecs.register_error(_MARK, _mark)


def mend(text: str) -> tuple[str, int]:
    """``text`` with U+FFFD for what is no character, and how often: undecodable bytes, lone surrogates."""
    return (text, 0) if text.isascii() else _LONE.subn("\ufffd", text)


class Decoded:
    """The text of ``pieces`` of bytes, to be gone through once; ``mend`` is due for each document of it.

    A byte order mark decides, UTF-8 is next. The first block of ``size`` bytes that is no UTF-8 decides for all that
    follows: where most of it is, or letters before it were, the file is UTF-8 with damaged places; else
    charset-normalizer is asked, and ``note`` says what for ("read as cp1252"). What can't be decoded is marked.

    Raises:
        Unreadable: the beginning is no text, or as the pieces do.
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
    """The bytes in blocks of ``size``, and whether it is the last; what was read before an error comes before it."""
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
    """Raise for what is UTF-8 by its bytes and yet no text. Some NULs in a text are characters as others."""
    zeros = data.count(0)
    if zeros and (file_type(data) or data[257:262] == b"ustar" or 5 * zeros >= 2 * len(data)):
        raise Unreadable(_no_text(data))


def _no_text(data: bytes) -> str:
    return f"it is no text ({file_type(data) or 'binary'})"


def _controls(data: bytes) -> int:
    return len(data) - len(data.translate(None, _CONTROLS))


def _is_surrogates(data: bytes, last: bool) -> bool:
    """Whether all that is wrong is surrogates written as UTF-8, as some programs do."""
    try:
        codecs.utf_8_decode(data, "surrogatepass", last)
    except UnicodeDecodeError:
        return False
    return True


def _guess(data: bytes) -> str | None:
    """The likeliest codec of the lines that are not ASCII; None where it is none."""
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
