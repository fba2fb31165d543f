"""The progress of a job, as the engine reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from attnviz.batch.output.folder import RunFolder


class JobProgress(Protocol):
    """Receives the progress of a job. The command line shows it, and tests record it."""

    def began(self, folder: RunFolder) -> None:
        """The output folder was opened."""

    def read(self, count: int) -> None:
        """``count`` more bytes of input were read."""

    def found(self, documents: int) -> None:
        """``documents`` more documents were found in the input."""

    def worked(self, documents: int, tokens: int) -> None:
        """``documents`` more documents, with ``tokens`` tokens, were measured."""

    def failed(self, documents: int) -> None:
        """``documents`` more documents failed."""

    def differs(self, verdict: str) -> None:
        """The check found documents that differ from transformers; ``verdict`` says so in words."""
