"""Recognise files that are not text by their first bytes."""

from __future__ import annotations

_KINDS = {
    b"%PDF-": "a PDF",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"PK\x03\x04": "a zip archive, as .docx and .epub files are",
    b"\x1f\x8b": "a gzip archive",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"\x7fELF": "a program",
    b"GGUF": "a GGUF model",
    b"SQLite format 3": "a database",
}


def file_type(data: bytes | bytearray) -> str | None:
    """Return what kind of file begins with ``data``, in words; None if it is none of the known kinds."""
    return next((kind for start, kind in _KINDS.items() if data.startswith(start)), None)
