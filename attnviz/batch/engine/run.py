"""A run on this machine: chunks are read and encoded ahead, measured, and written behind, all at once."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from attnviz.batch.engine.checking import Checked, Checker
from attnviz.batch.engine.chunk import Chunk
from attnviz.batch.engine.work import Encoded, OnProgress, Worker
from attnviz.batch.kept import KeptColumn
from attnviz.batch.output.parts import PartFacts
from attnviz.batch.output.result import DocumentResult
from attnviz.batch.output.tables import PartTables, build_tables
from attnviz.errors import SomeFailed

Item = TypeVar("Item")


class PartStore(Protocol):
    """What keeps the rows: the open folder, or on a cluster its files alone."""

    def finished(self, number: int, digest: str) -> PartFacts | None:
        """What there is of a part; None where it is still to be made."""

    def write(self, number: int, digest: str, tables: PartTables, check: Mapping[str, Any] | None = None) -> PartFacts:
        """Write a part, whole or as good as not at all."""


@dataclass(frozen=True, eq=False)
class Bench:
    """Where chunks are worked on: the ``worker`` measures, the ``checker`` checks, and the ``keeper`` has the rows.

    ``strict``: a chunk with a document that fails is not kept, and the run ends there. ``kept`` are the columns of the
    input that are.
    """

    worker: Worker
    checker: Checker
    keeper: PartStore
    strict: bool = False
    kept: tuple[KeptColumn, ...] = ()

    def do(self, chunk: Chunk, on_progress: OnProgress) -> PartFacts:
        """All that is to be done with a chunk, and what there is of it then; one that is there already stays as it is.

        Raises:
            UsageError: it can't be written, or its texts are not those of the run that is resumed.
            SomeFailed: a document failed, and the run is strict.
        """
        facts = self.keeper.finished(chunk.number, chunk.digest)
        if facts is None:
            return self.keep(chunk, *self.measure(chunk, self.worker.encode(chunk), on_progress))
        on_progress(facts.documents, 0)
        return facts

    def measure(
        self, chunk: Chunk, encoded: list[Encoded], on_progress: OnProgress
    ) -> tuple[list[DocumentResult], Checked | None]:
        """What was found of each document, and the check of some."""
        found = self.worker.measure(chunk, encoded, on_progress)
        failed = next((each for each in found if each.measured is None), None)
        if self.strict and failed:
            raise SomeFailed(f"{failed.document.where}: {failed.reason}", hint="Without `strict` the others go on.")
        return found, self.checker.check(found)

    def keep(self, chunk: Chunk, found: list[DocumentResult], checked: Checked | None) -> PartFacts:
        """Write what was found."""
        rows = build_tables(found, tuple(self.worker.heads), self.kept)
        facts = self.keeper.write(chunk.number, chunk.digest, rows, asdict(checked) if checked else None)
        release_memory()
        return facts


def release_memory() -> None:
    """Give memory that nobody uses back to the system: the allocators of all threads would keep theirs."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others give back by themselves
    if trim:
        trim(0)


def run_chunks(bench: Bench, chunks: Iterable[Chunk], on_progress: OnProgress) -> Iterator[PartFacts]:
    """Work on all ``chunks`` that are not there yet, and say of each, in order, what there is of it.

    Raises:
        UsageError, SomeFailed: as ``Bench.do``.
    """

    def encoded() -> Iterator[tuple[Chunk, PartFacts | None, list[Encoded]]]:
        for chunk in chunks:
            facts = bench.keeper.finished(chunk.number, chunk.digest)
            yield chunk, facts, [] if facts else bench.worker.encode(chunk)

    kept: deque[Future[PartFacts]] = deque()
    with ThreadPoolExecutor(1, "attnviz-write") as pool:
        for chunk, facts, encodings in prefetch(encoded()):
            if facts:
                on_progress(facts.documents, 0)
                kept.append(pool.submit(lambda facts=facts: facts))  # type: ignore[misc]
            else:
                kept.append(pool.submit(bench.keep, chunk, *bench.measure(chunk, encodings, on_progress)))
            while len(kept) > 1:
                yield kept.popleft().result()
        while kept:
            yield kept.popleft().result()


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """``items``, of which the next is made in a thread while the one before is used."""
    end = object()
    with ThreadPoolExecutor(1, "attnviz-read") as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
