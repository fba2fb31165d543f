"""Texts cut into lines and paragraphs, as they come."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator


def lines(texts: Iterable[str], most: int) -> Iterator[tuple[int, str | None]]:
    """The lines of a text that comes in parts, without their ends, and their numbers from 1.

    One of more than ``most`` characters is None, and is not held. A line ends as in any system's files.
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
    """The paragraphs of a text that comes in parts, and the number of their first lines: lines between blank lines.

    One of more than ``most`` characters is None, and is not held.
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
