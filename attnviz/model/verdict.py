"""What a check says: layer by layer how far our attention and transformers' own are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from attnviz.errors import ModelError
from attnviz.model.kernel import Kind

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Rounding adds up to about 1e-6 in float32 and 1e-15 in float64; a mistake is larger than either."""
COARSE = 0.03
"""In half precision two orders of summation differ by about a hundredth."""


def tolerance_of(dtype: torch.dtype) -> float:
    """How far two weights may be apart, of which rounding is to be explained: no tolerance does in half precision."""
    return TOLERANCES.get(dtype, TOLERANCES[torch.float32])


@dataclass(frozen=True)
class Rows:
    """Of how many queries the weights were ``compared``, of the ``total`` that a map has."""

    compared: int
    total: int


@dataclass(frozen=True)
class LayerCheck:
    """One layer's largest and mean |Δ| of the weights, its worst head, and the largest |Δ| of the states after it.

    ``kind`` says of which map. None is what there is not: cross-attention has no states of its own, and the eager
    attention of some models returns no weights. ``rows`` is None where all were compared; where not, the states were
    compared in the same rows, and those of the last layer only.
    """

    kind: Kind
    layer: int
    max_abs_diff: float | None
    mean_abs_diff: float | None
    worst_head: int | None
    hidden_abs_diff: float | None
    rows: Rows | None = None


@dataclass(frozen=True)
class Inputs:
    """What transformers' own tokenizer makes of the same text.

    ``differs`` says what differs first, and is empty where nothing does. ``reason`` says why there is no other maker of
    the ids than attnviz, or none that knows more of them than the file of the tokenizer does.
    """

    differs: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Recomputed:
    """What was made anew from transformers' weights of what is shown: the figures and maps of some heads, and links.

    ``heads`` of ``total`` were there in all their rows. ``apart`` is the largest difference as a part of what rounding
    may make of it, so that 1 is as much as may be, and ``what`` says what differs most.
    """

    heads: int
    total: int
    apart: float
    what: str

    @property
    def passed(self) -> bool:
        """Whether all that is shown is what it must be."""
        return self.apart <= 1


@dataclass(frozen=True)
class Check:
    """What the check found, layer by layer.

    ``heads`` is how many were compared: 0 where the model's own attention returns no weights; then ``max_abs_diff`` is
    that of the hidden states, as a part of each layer's largest. ``double`` is the same check in float64, made when
    float32 was beyond its tolerance: it decides. ``against`` is the attention of transformers that was compared with:
    its SDPA where the eager one, which returns weights, contradicts that. ``inputs`` is what its tokenizer makes.
    """

    heads: int
    dtype: str
    tolerance: float
    max_abs_diff: float
    worst: LayerCheck
    layers: tuple[LayerCheck, ...]
    double: Check | None = None
    against: Literal["eager", "sdpa"] = "eager"
    inputs: Inputs = field(default_factory=Inputs)
    recomputed: Recomputed | None = None

    @property
    def passed(self) -> bool:
        """Whether transformers makes the same ids, and every head agrees with it."""
        return not self.inputs.differs and self.agrees

    @property
    def agrees(self) -> bool:
        """Whether every head agrees, in float32 or, where that is rounding, in float64."""
        near = self.max_abs_diff <= self.tolerance or (self.double is not None and self.double.passed)
        return near and (self.recomputed is None or self.recomputed.passed)

    @property
    def rows(self) -> dict[Kind, Rows]:
        """Of each kind of map, how many of its rows were compared; empty where all were."""
        return {layer.kind: layer.rows for layer in self.layers if layer.rows is not None}


@dataclass(frozen=True)
class Compared:
    """One layer's part of a check: how many ``heads`` were compared, and |Δ| of the states as a part of the largest."""

    layer: LayerCheck
    heads: int
    relative: float


def compare(
    kind: Kind, number: int, apart: Tensor | None, states: tuple[float | None, float], rows: Rows | None = None
) -> Compared:
    """What is found of one layer by |Δ| of its weights ``apart`` (H, N, M), and of its ``states`` as given."""
    hidden, relative = states
    if apart is None:
        return Compared(LayerCheck(kind, number, None, None, None, hidden, rows), 0, relative)
    heads = apart.amax((-2, -1))  # (H,)
    most, mean, worst = float(heads.max()), float(apart.mean()), int(heads.argmax())
    return Compared(LayerCheck(kind, number, most, mean, worst, hidden, rows), len(apart), relative)


def weights_apart(mine: Tensor, other: Tensor) -> Tensor:
    """|Δ| of two layers' weights (H, N, M), ours and transformers'."""
    if mine.shape != other.shape:
        raise ModelError(f"our attention has the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    return (mine - other.to(mine)).abs().nan_to_num(nan=torch.inf)


def states_apart(mine: Tensor, other: Tensor) -> tuple[float, float]:
    """The largest |Δ| of the states (T, C) after a layer, and that as a part of the largest state."""
    if mine.shape != other.shape:
        raise ModelError(f"our hidden states have the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    far = float((mine - other).abs().nan_to_num(nan=torch.inf).max())
    return far, far / max(1.0, float(other.abs().max()))


def sum_up(found: Sequence[Compared], dtype: torch.dtype) -> Check:
    """The verdict on all layers, which ran in ``dtype``."""
    heads = sum(each.heads for each in found)

    def distance(each: Compared) -> float:
        return (each.layer.max_abs_diff or 0.0) if heads else each.relative

    worst = max(found, key=distance)
    return Check(
        heads=heads,
        dtype=str(dtype).removeprefix("torch."),
        tolerance=TOLERANCES.get(dtype, COARSE),
        max_abs_diff=distance(worst),
        worst=worst.layer,
        layers=tuple(each.layer for each in found),
    )
