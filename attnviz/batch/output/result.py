"""What was found of one document: the row of every table that it has."""

from __future__ import annotations

from dataclasses import dataclass

from attnviz.analysis.corpus.metrics import Measured
from attnviz.batch.document import Document
from attnviz.encoding import Encoding


@dataclass(frozen=True, eq=False)
class DocumentResult:
    """A document and what was measured of it; ``reason`` says why nothing was, and ``encoding`` may be None then.

    ``windows`` is in how many parts it was read: 1 where the model read it whole. ``seconds`` is its share of the time
    that was spent on it and those that ran with it.
    """

    document: Document
    encoding: Encoding | None = None
    measured: Measured | None = None
    windows: int = 0
    seconds: float = 0.0
    reason: str = ""
