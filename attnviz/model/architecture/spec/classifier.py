"""A head that classifies: which states it reads, and the layers that make scores of labels from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reads = Literal["each", "first", "last", "end", "mean", "late"]
"""Which states a head reads: those of each token, of the first, of the last that is no padding, of the last token that
ends a text, their mean, or those of each, of whose scores the mean is taken."""


@dataclass(frozen=True)
class Dense:
    """A linear layer of a head, and what follows it.

    Args:
        name: the checkpoint's name of it.
        activation: the activation function.
        norm: the checkpoint's name of the norm after the activation; empty for none.
        eps: of this norm.
    """

    name: str
    activation: str = "linear"
    norm: str = ""
    eps: float = 1e-5


@dataclass(frozen=True)
class Classifier:
    """A head that classifies a text, or each token.

    Args:
        layers: its layers, the last of which has a row for each label.
        reads: the states that enter them.
    """

    layers: tuple[Dense, ...]
    reads: Reads = "each"
