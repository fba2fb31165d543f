"""Plain text: each file, line or paragraph is a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from attnviz.batch.input.decoding import Decoded
from attnviz.batch.input.formats.lines import lines, paragraphs
from attnviz.batch.input.formats.rows import failed_row, line_row, plain_row
from attnviz.batch.input.options import InputRow, ReadOptions
from attnviz.batch.input.stream import Stream

_CUTS = {"line": lines, "paragraph": paragraphs}


def read_plain_text(stream: Stream, reading: ReadOptions) -> Iterator[InputRow]:
    """Read the whole file, or each line or paragraph; of pairs, each line. Blank lines are skipped."""
    decoded = Decoded(stream.pieces())
    split = "line" if reading.target is not None else reading.split
    if split is None:
        text = _whole(decoded, reading.most)
        row = failed_row(None, reading.too_long) if text is None else plain_row(None, text, decoded.note)
        yield replace(row, whole=True)
        return
    for line, part in _CUTS[split](decoded, reading.most):
        if part is None:
            yield failed_row(line, reading.too_long)
        elif part.strip() or reading.blank:
            yield line_row(line, part, decoded.note, reading)


def _whole(texts: Iterable[str], most: int) -> str | None:
    """The whole text; None if it has more than ``most`` characters, and then the rest is not read."""
    held, size = [], 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size > most:
            return None
    return "".join(held)
