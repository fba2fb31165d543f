"""The head of a language model: from the last hidden states to the scores of the next token."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class LanguageHead:
    """A head that is ready to run: softcap · tanh(scale · (x Wᵀ + b) / softcap), as far as there are any.

    Attributes:
        matrix: W (V, C), a row for each token of the vocabulary.
        bias: b (V,).
        scale: by which all scores are multiplied.
        softcap: the bound of the scores.
    """

    matrix: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    def __call__(self, states: Tensor) -> Tensor:
        """Return the logits (…, V) of the token that follows, from the last hidden states (…, C)."""
        return self.capped(self.uncapped(states))

    def uncapped(self, states: Tensor) -> Tensor:
        """Return the same before the soft cap, where they are linear in the states."""
        return functional.linear(states, self.matrix, self.bias) * self.scale

    def capped(self, logits: Tensor) -> Tensor:
        """Return ``logits`` of any shape as they are behind the soft cap."""
        return logits if self.softcap is None else (logits / self.softcap).tanh() * self.softcap
