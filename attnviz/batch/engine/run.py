"""A run on this machine: one thread reads and encodes the next chunk, one measures, and one writes the last."""

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
    """Stores parts: the open output folder, or, on a cluster, its files alone."""

    def finished(self, number: int, digest: str) -> PartFacts | None:
        """The facts of a part; None if it is not complete."""

    def write(self, number: int, digest: str, tables: PartTables, check: Mapping[str, Any] | None = None) -> PartFacts:
        """Write a part; one that is interrupted counts as not written."""


@dataclass(frozen=True, eq=False)
class Bench:
    """Measures, checks and stores chunks.

    Args:
        worker: measures documents.
        checker: compares some of them with transformers.
        keeper: stores the parts.
        strict: end the run at the first document that fails, and do not store its chunk.
        kept: the columns of the input that are kept.
    """

    worker: Worker
    checker: Checker
    keeper: PartStore
    strict: bool = False
    kept: tuple[KeptColumn, ...] = ()

    def do(self, chunk: Chunk, on_progress: OnProgress) -> PartFacts:
        """Process a chunk, unless its part is there already, and return the facts of the part.

        Raises:
            UsageError: the part can't be written, or its texts are not those of the run that is resumed.
            SomeFailed: a document failed in a strict run.
        """
        facts = self.keeper.finished(chunk.number, chunk.digest)
        if facts is None:
            return self.keep(chunk, *self.measure(chunk, self.worker.encode(chunk), on_progress))
        on_progress(facts.documents, 0)
        return facts

    def measure(
        self, chunk: Chunk, encoded: list[Encoded], on_progress: OnProgress
    ) -> tuple[list[DocumentResult], Checked | None]:
        """The result of each document, and the verdict of the check on some."""
        found = self.worker.measure(chunk, encoded, on_progress)
        failed = next((each for each in found if each.measured is None), None)
        if self.strict and failed:
            raise SomeFailed(f"{failed.document.where}: {failed.reason}", hint="Without `strict` the others go on.")
        return found, self.checker.check(found)

    def keep(self, chunk: Chunk, found: list[DocumentResult], checked: Checked | None) -> PartFacts:
        """Write the part of a chunk."""
        rows = build_tables(found, tuple(self.worker.heads), self.kept)
        facts = self.keeper.write(chunk.number, chunk.digest, rows, asdict(checked) if checked else None)
        release_memory()
        return facts


def release_memory() -> None:
    """Return free memory to the system, which the allocators of all threads would keep."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others give back by themselves
    if trim:
        trim(0)


def run_chunks(bench: Bench, chunks: Iterable[Chunk], on_progress: OnProgress) -> Iterator[PartFacts]:
    """Process all ``chunks`` that are not there yet, and yield the facts of each part in order.

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
    """Yield the ``items``; a thread makes the next one while the last one is used."""
    end = object()
    with ThreadPoolExecutor(1, "attnviz-read") as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
