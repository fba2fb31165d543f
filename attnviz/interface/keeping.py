"""What a run keeps beside its weights: scores, and the vectors behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.attention.observers import Scores, Weights


@dataclass(frozen=True)
class Keep:
    """Scores of layers with at ``most`` so many queries times keys, and the ``vectors`` behind them."""

    most: float = 0
    vectors: bool = False

    @classmethod
    def of(cls, *, scores: bool, neurons: bool, most: float = math.inf) -> Keep:
        """What is kept where ``scores`` are asked for, or ``neurons``, which are the vectors and the scores."""
        return cls(most if scores or neurons else 0, neurons)

    def beside(self, weights: Weights, *, observed: bool) -> Scores | None:
        """The observer that keeps it in the room of the ``weights``; None where nothing is asked for.

        Raises:
            UsageError: the model is ``observed``, and hands in only its weights. For a page it goes without scores.
        """
        if observed and (self.vectors or math.isinf(self.most)):
            what = "queries and keys" if self.vectors else "scores q·k"
            raise UsageError(f"the model attends by itself (observed): it hands in its weights, and no {what}")
        if observed or not self.most:
            return None
        from attnviz.attention.observers import Scores

        return Scores(weights, self.most, vectors=self.vectors)
