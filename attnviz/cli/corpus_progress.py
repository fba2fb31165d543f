"""Show the progress of a run over a corpus on standard error: a bar on a terminal, else a line at intervals."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from attnviz.cli.console import compilation_noted
from attnviz.cli.signals import CLEANUPS
from attnviz.errors import count_of
from attnviz.render.labels import clean
from attnviz.render.terminal.cost import duration

if TYPE_CHECKING:
    from attnviz.batch.output.folder import RunFolder

_EVERY = 0.25
"""The seconds between two updates of the bar."""
_LINES = 10.0
"""The seconds between two plain lines."""


class CorpusProgress:
    """Count what is done; several threads may call it.

    ``total`` is the number of bytes to read; None if unknown. ``on`` is None to print nothing.
    """

    def __init__(self, on: Console | None, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._on, self._total, self._clock = on, total, clock
        self._start = clock()
        self._bytes = self._found = self._documents = self._tokens = self._failed = 0
        self._every = _EVERY if on and on.is_terminal else _LINES
        self._next = self._start + self._every
        self._bar: Progress | None = None
        self._differs = False

    def began(self, folder: RunFolder) -> None:
        """Register the folder of the results: a signal that ends the run removes its temporary files."""
        CLEANUPS.add(folder.abandon)

    def read(self, count: int) -> None:
        """Count bytes that were read."""
        self._bytes += count

    def found(self, documents: int) -> None:
        """Count documents that were found in them."""
        self._found += documents

    def worked(self, documents: int, tokens: int) -> None:
        """Count documents and tokens that are done."""
        self._documents += documents
        self._tokens += tokens
        self._tell()

    def failed(self, documents: int) -> None:
        """Count documents that failed."""
        self._failed += documents
        self._tell()

    def differs(self, verdict: str) -> None:
        """Print a failed check at once, and only once, since nobody needs to wait for the end of such a run."""
        if self._on is not None and not self._differs:
            self._on.print(Text(f"✗ {clean(verdict)}", "bold red"))
        self._differs = True

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def _tell(self) -> None:
        now = self._clock()
        if self._on is None or now < self._next:
            return
        self._next = now + self._every
        words = self._words(now - self._start)
        if not self._on.is_terminal:
            self._on.print(words)
            return
        if self._bar is None:
            columns = SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}")
            self._bar = Progress(*columns, console=self._on, auto_refresh=False, transient=True)
            self._bar.add_task("", total=self._total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=words, completed=self._done)
        self._bar.refresh()

    @property
    def _done(self) -> float:
        """The bytes of the documents that are done, estimated, since documents are read ahead."""
        return self._bytes * min(1.0, self._documents / self._found) if self._found else 0.0

    def _words(self, elapsed: float) -> str:
        parts = [count_of(self._documents, "document"), f"{self._tokens / max(elapsed, 1e-9):,.0f} tokens/s"]
        if self._total and 0 < self._done < self._total:
            parts.append(f"{duration(elapsed * (self._total - self._done) / self._done)} left")
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        return " · ".join(parts)


@contextlib.contextmanager
def corpus_progress(
    on: Console | None, total: int | None, clock: Callable[[], float] = time.monotonic
) -> Iterator[CorpusProgress]:
    """Show a ``CorpusProgress`` inside the block, and remove its bar at the end."""
    on_progress = CorpusProgress(on, total, clock)
    try:
        with compilation_noted(on):
            yield on_progress
    finally:
        on_progress.close()
