"""A stream of text cut into lines or paragraphs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator


def lines(texts: Iterable[str], most: int) -> Iterator[tuple[int, str | None]]:
    """Yield the number (from 1) and the text of each line, without its end, of a text that comes in parts.

    A line of more than ``most`` characters is None, and is not held in memory. Lines end in LF, CR LF or CR.
    """
    held: list[str] = []
    size, number = 0, 1
    newlines = io.IncrementalNewlineDecoder(None, translate=True)

    def take() -> str | None:
        nonlocal size
        line = "".join(held) if size <= most else None
        held.clear()
        size = 0
        return line

    for text in _with_end(texts):
        for at, part in enumerate(newlines.decode(text or "", final=text is None).split("\n")):
            if at:
                yield number, take()
                number += 1
            size += len(part)
            if size <= most:
                held.append(part)
            else:
                held.clear()
    if size:
        yield number, take()


def _with_end(texts: Iterable[str]) -> Iterator[str | None]:
    yield from texts
    yield None


def paragraphs(texts: Iterable[str], most: int) -> Iterator[tuple[int, str | None]]:
    """Yield the number of the first line and the text of each paragraph: the lines between blank lines.

    A paragraph of more than ``most`` characters is None, and is not held in memory.
    """
    held: list[str] = []
    begin, size = 0, -1

    def take() -> str | None:
        paragraph = "\n".join(held) if size <= most else None
        held.clear()
        return paragraph

    for number, line in lines(texts, most):
        if line is not None and not line.strip():
            if begin:
                yield begin, take()
            begin, size = 0, -1
            continue
        begin = begin or number
        size += most + 2 if line is None else len(line) + 1
        if line is not None and size <= most:
            held.append(line)
        else:
            held.clear()
    if begin:
        yield begin, take()
