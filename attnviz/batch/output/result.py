"""The result of one document, from which its rows of the tables are made."""

from __future__ import annotations

from dataclasses import dataclass

from attnviz.analysis.corpus.metrics import Measured
from attnviz.batch.document import Document
from attnviz.encoding import Encoding


@dataclass(frozen=True, eq=False)
class DocumentResult:
    """A document and what was measured of it.

    Args:
        document: the document.
        encoding: its tokens; None if it could not be encoded.
        measured: its figures and links; None if it failed.
        windows: the number of windows in which it was read; 1 if the model read it whole.
        seconds: its share of the time that was spent on it and those that ran with it.
        reason: why it failed.
        target: the tokens of the target, of a pair.
    """

    document: Document
    encoding: Encoding | None = None
    measured: Measured | None = None
    windows: int = 0
    seconds: float = 0.0
    reason: str = ""
    target: Encoding | None = None

    @property
    def looking(self) -> Encoding | None:
        """The text whose words look: the target of a pair."""
        return self.target or self.encoding
