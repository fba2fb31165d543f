"""Chunks of documents: each is measured, written and, if need be, processed again as one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from attnviz.analysis.corpus.cost import PART, PART_TOKENS
from attnviz.batch.document import Document
from attnviz.batch.input.options import ReadOptions
from attnviz.batch.input.source import read_documents

SIZE = PART
"""The most documents of a chunk: enough to fill packs of similar lengths, and few enough to process again."""
CHARACTERS = 4 * PART_TOKENS
"""The most characters of a chunk, unless one document has more: they bound the memory."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive documents of a run; ``number`` counts chunks from 0."""

    number: int
    documents: tuple[Document, ...]

    @cached_property
    def digest(self) -> str:
        """The digest of all that its rows depend on beside the model: its documents, their positions and notes."""
        found = hashlib.sha256()
        for each in self.documents:
            kept = sorted(each.kept.items())
            fields = each.number, each.id, each.source, each.row, each.line, each.reason, each.note, kept
            found.update(repr(fields).encode("utf-8", "surrogatepass"))
        return found.hexdigest()


def chunks(documents: Iterable[Document], size: int = SIZE, characters: int = CHARACTERS) -> Iterator[Chunk]:
    """Cut ``documents`` into chunks; the cuts depend on the documents alone."""
    number, held, room = 0, list[Document](), characters
    for each in documents:
        if held and (len(held) == size or each.size > room):
            yield Chunk(number, tuple(held))
            number, held, room = number + 1, [], characters
        held.append(each)
        room -= each.size
    if held:
        yield Chunk(number, tuple(held))


def read_chunks(
    inputs: Sequence[str], reading: ReadOptions, leave_out: str, size: int, meter: Callable[[int], None]
) -> Iterator[Chunk]:
    """Read all inputs in chunks of at most ``size`` documents; every process reads the same ones."""
    return chunks(read_documents(inputs, reading, leave_out=leave_out, meter=meter), size)
