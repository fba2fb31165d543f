"""Who is told how far a job is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from attnviz.batch.output.folder import RunFolder


class JobProgress(Protocol):
    """Who looks on while a job runs."""

    def began(self, folder: RunFolder) -> None:
        """The folder is open."""

    def read(self, count: int) -> None:
        """So many bytes more were read."""

    def found(self, documents: int) -> None:
        """So many documents more were found in them."""

    def worked(self, documents: int, tokens: int) -> None:
        """So many documents and tokens more are done."""

    def failed(self, documents: int) -> None:
        """So many documents more have failed."""

    def differs(self, verdict: str) -> None:
        """The check has found documents that are beyond a tolerance."""
