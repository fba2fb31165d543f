"""What a check says: layer by layer how far what was shown and transformers' own attention are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind
from attnviz.errors import ModelError

Against = Literal["eager", "sdpa"]

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Rounding adds up to about 1e-6 in float32 and 1e-15 in float64; a mistake is larger than either."""
COARSE = 0.03
"""Quantised weights have no other type to be compared in, and their kernels add up in orders of their own."""
ROUNDING_BOUND = 6.0
"""Rounding explains a head so many times as far from transformers' as transformers' own rounding moves that head.

Two, where both sides round as much and away from each other; times three, since two sums of the same numbers in other
orders round alike on average only. The most was 3.4, over 1,170 layers of test models in each of bfloat16, float16 and
float32.
"""
TIE_BOUND = 4.0
"""Rounding explains two scores so many times as far apart as transformers' own rounding moves any score of that step.

Each of the two scores is rounded, and on both sides.
"""


def tolerance_of(dtype: torch.dtype) -> float:
    """How far two weights may be apart, of which rounding is to be explained: no tolerance does in half precision."""
    return TOLERANCES.get(dtype, TOLERANCES[torch.float32])


@dataclass(frozen=True)
class RowCounts:
    """Of how many queries the weights were ``compared``, of the ``total`` that a map has."""

    compared: int
    total: int


@dataclass(frozen=True)
class LayerCheck:
    """One layer's largest and mean |Δ| of the weights, its worst head, and the largest |Δ| of the states after it.

    ``kind`` says of which map. None is what there is not: cross-attention has no states of its own, no weight depends
    on the last states, and the eager attention of some models returns no weights. Of a long text, the states were
    compared in the same ``rows`` as the weights, and those of the last layer only.
    """

    kind: Kind
    layer: int
    max_abs_diff: float | None
    mean_abs_diff: float | None
    worst_head: int | None
    hidden_abs_diff: float | None
    rows: RowCounts | None = None


@dataclass(frozen=True)
class InputCheck:
    """What transformers' own tokenizer makes of the same text.

    ``differs`` says what differs first, and is empty where nothing does. ``reason`` says why there is no other maker of
    the ids than attnviz, or none that knows more of them than the file of the tokenizer does.
    """

    differs: str = ""
    reason: str = ""


@dataclass(frozen=True)
class WindowCounts:
    """How many windows transformers ``read``, of the ``total`` that a text was read in, and in how many rows stand.

    The ``rows`` whose weights are compared are those of so many windows.
    """

    read: int
    rows: int
    total: int


@dataclass(frozen=True)
class Recomputed:
    """What was made anew from transformers' weights of what is shown: the figures and maps of some heads, and links.

    ``heads`` of ``total`` were there in all their rows: none of a text of which transformers did not read all
    ``windows``. ``apart`` is the largest difference as a part of what rounding may make of it, so that 1 is as much as
    may be, and ``what`` says what differs most.
    """

    heads: int
    total: int
    apart: float
    what: str
    windows: WindowCounts | None = None

    @property
    def passed(self) -> bool:
        """Whether all that is shown is what it must be."""
        return self.apart <= 1


@dataclass(frozen=True)
class Rounding:
    """In the head where it is most, how many ``times`` as far both are apart as rounding moves transformers' own.

    That is from a run in the type of the check to one in ``exact``, a wider type; the distance of two maps is the root
    of the sum of the squares of what they differ by. ``head`` is None where hidden states were compared.
    """

    times: float
    exact: str
    kind: Kind
    layer: int
    head: int | None
    bound: float = ROUNDING_BOUND

    @property
    def explains(self) -> bool:
        """Whether rounding explains the difference."""
        return self.times <= self.bound


@dataclass(frozen=True)
class Choice:
    """A token that transformers would have chosen otherwise: the ``place`` in its text, and both ids.

    ``apart`` is how far transformers' score of its own choice is above that of ours, ``explained`` how far rounding may
    part the two. ``theirs`` is None where transformers ends the text here.
    """

    place: int
    ours: int
    theirs: int | None
    apart: float
    explained: float


@dataclass(frozen=True)
class GenerationCheck:
    """What was found of the tokens that the model wrote: how many were ``compared``, and those that differ.

    ``by`` is who wrote them: of a hosted model transformers itself, so that there is nothing to compare.
    """

    compared: int
    by: Literal["attnviz", "transformers"] = "attnviz"
    differ: tuple[Choice, ...] = ()

    @property
    def wrong(self) -> Choice | None:
        """The first token that rounding does not explain."""
        return next((choice for choice in self.differ if not choice.apart <= choice.explained), None)


@dataclass(frozen=True)
class Check:
    """What the check found, layer by layer.

    ``heads`` is how many were compared: 0 where the model's own attention returns no weights; then ``max_abs_diff`` is
    that of the hidden states, as a part of each layer's largest. ``against`` is the attention of transformers that was
    compared with: its SDPA where the eager one, which returns weights, contradicts that.

    Beyond the tolerance, and always in half precision, the same is checked in a wider type as well, which is
    ``double``, and ``rounding`` says whether rounding explains the difference: a mistake in either makes the check
    fail. ``written`` is what was found of the tokens that the model wrote, if it wrote any, and ``inputs`` what
    transformers' tokenizer makes of the text; ``recomputed`` is what was made anew of what an observation shows.
    ``rerun``: transformers has no weights to hold an observation to, so the model ran again, and that was compared.
    """

    heads: int
    dtype: str
    tolerance: float
    max_abs_diff: float
    worst: LayerCheck
    layers: tuple[LayerCheck, ...]
    double: Check | None = None
    against: Against = "eager"
    rounding: Rounding | None = None
    written: GenerationCheck | None = None
    inputs: InputCheck = field(default_factory=InputCheck)
    recomputed: Recomputed | None = None
    rerun: bool = False

    @property
    def passed(self) -> bool:
        """Whether transformers makes the same ids, and every head and every token that the model wrote agree."""
        return not self.inputs.differs and self.agrees and (self.written is None or self.written.wrong is None)

    @property
    def agrees(self) -> bool:
        """Whether every head agrees: within the tolerance, or within what rounding explains and in a wider type.

        Of an observation, the check in the wider type is of what was shown, within what rounding explains: it decides.
        """
        explained = self.rounding.explains if self.rounding else self.double is not None
        near = self.max_abs_diff <= self.tolerance or explained
        again = self.double is None or self.double.agrees
        return near and again and (self.recomputed is None or self.recomputed.passed)

    @property
    def rows(self) -> dict[Kind, RowCounts]:
        """Of each kind of map, how many of its rows were compared."""
        return {layer.kind: layer.rows for layer in self.layers if layer.rows is not None}


@dataclass(frozen=True)
class Compared:
    """One layer's part of a check: how many ``heads`` were compared, and |Δ| of the states as a part of the largest."""

    layer: LayerCheck
    heads: int
    relative: float


def compare_layer(
    kind: Kind, number: int, apart: Tensor | None, states: tuple[float | None, float], rows: RowCounts | None = None
) -> Compared:
    """What is found of one layer by |Δ| of its weights ``apart`` (H, N, M), and of its ``states`` as given."""
    hidden, relative = states
    if apart is None:
        return Compared(LayerCheck(kind, number, None, None, None, hidden, rows), 0, relative)
    heads = apart.amax((-2, -1))  # (H,)
    most, mean, worst = float(heads.max()), float(apart.mean()), int(heads.argmax())
    return Compared(LayerCheck(kind, number, most, mean, worst, hidden, rows), len(apart), relative)


def weight_differences(mine: Tensor, other: Tensor) -> Tensor:
    """|Δ| of two layers' weights (H, N, M), ours and transformers'."""
    if mine.shape != other.shape:
        raise ModelError(f"our attention has the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    return (mine - other.to(mine)).abs().nan_to_num(nan=torch.inf)


def state_differences(mine: Tensor, other: Tensor) -> tuple[float, float]:
    """The largest |Δ| of the states (T, C) after a layer, and that as a part of the largest state."""
    if mine.shape != other.shape:
        raise ModelError(f"our hidden states have the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    far = float((mine - other.to(mine)).abs().nan_to_num(nan=torch.inf).max())
    return far, far / max(1.0, float(other.abs().max()))


def rounding_ratio(mine: Tensor, theirs: Tensor, exact: Tensor) -> Tensor:
    """How many times as far ``mine`` is from ``theirs`` (…, N, M) as rounding moved these from ``exact``, (…).

    No type rounds to less than half its epsilon.
    """
    a, b, c = (tensor.detach().to("cpu", torch.float64) for tensor in (mine, theirs, exact))
    apart, moved = (torch.linalg.vector_norm(tensor, dim=(-2, -1)) for tensor in (a - b, b - c))
    least = torch.finfo(theirs.dtype).eps / 2 * torch.linalg.vector_norm(c, dim=(-2, -1))
    times: Tensor = apart / torch.maximum(moved, least).clamp(min=torch.finfo(torch.float64).tiny)
    return times.nan_to_num(nan=torch.inf)


def worst_rounding(times: Tensor, wider: str, kind: Kind, number: int) -> Rounding:
    """The head of a layer that is farthest off, of all (H,)."""
    return Rounding(float(times.max()), wider, kind, number, int(times.argmax()))


def summarise_layers(found: Sequence[Compared], dtype: torch.dtype, tolerance: float | None = None) -> Check:
    """The verdict on all layers, which ran in ``dtype``; None is the tolerance of that type."""
    heads = sum(each.heads for each in found)

    def distance(each: Compared) -> float:
        return each.relative if each.layer.max_abs_diff is None else each.layer.max_abs_diff

    worst = max(found, key=distance)
    return Check(
        heads=heads,
        dtype=str(dtype).removeprefix("torch."),
        tolerance=tolerance_of(dtype) if tolerance is None else tolerance,
        max_abs_diff=distance(worst),
        worst=worst.layer,
        layers=tuple(each.layer for each in found),
    )
