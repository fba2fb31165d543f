"""The check: our attention against the transformers model's own, in every layer and head.

transformers loads the same checkpoint with its eager attention and runs the same token ids; every weight and hidden
state is compared. Beyond the tolerance, both sides run again in float64: rounding collapses there, a mistake stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from attnviz.checkpoint import Checkpoint
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.hosted import Hosted, Reference
from attnviz.model.kernel import Kind
from attnviz.model.native import Native
from attnviz.model.observers import HiddenStates, Weights
from attnviz.model.ways import Options, open_by_transformers, open_way

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Rounding adds up to about 1e-6 in float32 and 1e-15 in float64; a mistake is larger than either."""
COARSE = 0.03
"""In half precision two orders of summation differ by about a hundredth."""


@dataclass(frozen=True)
class LayerCheck:
    """One layer's largest and mean |Δ| of the weights, its worst head, and the largest |Δ| of the states after it.

    ``kind`` says of which map. None is what there is not: cross-attention has no states of its own, and the eager
    attention of some models returns no weights.
    """

    kind: Kind
    layer: int
    max_abs_diff: float | None
    mean_abs_diff: float | None
    worst_head: int | None
    hidden_abs_diff: float | None


@dataclass(frozen=True)
class Check:
    """What the check found, layer by layer.

    ``heads`` is how many were compared: 0 where the model's own attention returns no weights; then ``max_abs_diff`` is
    that of the hidden states, as a part of each layer's largest. ``double`` is the same check in float64, made when
    float32 was beyond its tolerance: it decides. ``against`` is the attention of transformers that was compared with:
    its SDPA where the eager one, which returns weights, contradicts that.
    """

    heads: int
    dtype: str
    tolerance: float
    max_abs_diff: float
    worst: LayerCheck
    layers: tuple[LayerCheck, ...]
    double: Check | None = None
    against: Literal["eager", "sdpa"] = "eager"

    @property
    def passed(self) -> bool:
        """Whether every head agrees, in float32 or, where that is rounding, in float64."""
        return self.max_abs_diff <= self.tolerance or (self.double is not None and self.double.passed)


def check(
    checkpoint: Checkpoint,
    encoding: Encoding,
    target: Encoding | None = None,
    options: Options | None = None,
    way: Native | Hosted | None = None,
) -> Check:
    """Run ``encoding`` (and a decoder's ``target``) our way and by transformers' eager attention, and compare.

    Args:
        way: the model as ``options`` say, where it is open already.

    Raises:
        ModelError: transformers can't load or run the checkpoint with eager attention.
    """
    options = options or Options()
    way = way or open_way(checkpoint, options)[0]
    weights, states = Weights(), HiddenStates()
    way.run(encoding, [weights, states], target)
    judge = _reference(checkpoint, options, way)
    theirs = judge.reference(encoding, target)
    result = _summed(list(_compared(weights, states, theirs, way.kinds)), options.dtype)
    other = None if result.passed else judge.second_opinion(encoding, target)
    if other is not None and _contradict(theirs, other):
        second: Reference = {kind: (None, other.get(kind)) for kind in way.kinds}
        result = replace(_summed(list(_compared(weights, states, second, way.kinds)), options.dtype), against="sdpa")
    if result.passed or options.dtype is not torch.float32 or checkpoint.quantised:
        return result
    return replace(result, double=check(checkpoint, encoding, target, replace(options, dtype=torch.float64)))


def _reference(checkpoint: Checkpoint, options: Options, way: Native | Hosted) -> Hosted:
    """The model that transformers runs; in the hosted way it is there already."""
    if isinstance(way, Hosted):
        return way
    return open_by_transformers(checkpoint, options)


def _contradict(theirs: Reference, other: Mapping[Kind, Tensor]) -> bool:
    """Whether transformers' two ways of attention differ by more than rounding, in the last layer of any stack."""
    last = [(states[-1], other[kind][-1]) for kind, (_, states) in theirs.items() if states is not None]
    return any(float((a - b).abs().max()) > 1e-3 * max(1.0, float(b.abs().max())) for a, b in last)


def _compared(
    weights: Weights, states: HiddenStates, theirs: Reference, kinds: tuple[Kind, ...]
) -> Iterator[tuple[LayerCheck, int, float]]:
    """For each layer of each kind what was found, how many heads were compared, and the states' relative |Δ|."""
    for kind in kinds:
        reference, hidden = theirs[kind]
        numbers = weights.layers(kind)
        if reference is not None and len(reference) != len(numbers):
            raise ModelError(f"transformers returns the weights of {len(reference)} layers, ours are {len(numbers)}")
        mine = None if kind == "cross" or hidden is None else states.stacked(kind)
        for i, number in enumerate(numbers):
            apart = None if reference is None else _apart(weights.layer(number, kind), reference[i])
            far, relative = _states_apart(mine, hidden, number + 1)
            yield _layer(kind, number, apart, far), 0 if apart is None else len(apart), relative


def _apart(mine: Tensor, other: Tensor) -> Tensor:
    """|Δ| of two layers' weights (H, N, M)."""
    if mine.shape != other.shape:
        raise ModelError(f"our attention has the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    return (mine - other.to(mine.dtype)).abs().nan_to_num(nan=torch.inf)


def _states_apart(mine: Tensor | None, other: Tensor | None, number: int) -> tuple[float | None, float]:
    """The largest |Δ| of the states after a layer, and that as a part of the largest state."""
    if mine is None or other is None:
        return None, 0.0
    if mine.shape != other.shape:
        raise ModelError(f"our hidden states have the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    far = float((mine[number] - other[number]).abs().nan_to_num(nan=torch.inf).max())
    return far, far / max(1.0, float(other[number].abs().max()))


def _layer(kind: Kind, number: int, apart: Tensor | None, hidden: float | None) -> LayerCheck:
    if apart is None:
        return LayerCheck(kind, number, None, None, None, hidden)
    heads = apart.amax((-2, -1))  # (H,)
    return LayerCheck(kind, number, float(heads.max()), float(apart.mean()), int(heads.argmax()), hidden)


def _summed(found: list[tuple[LayerCheck, int, float]], dtype: torch.dtype) -> Check:
    heads = sum(count for _, count, _ in found)

    def distance(row: tuple[LayerCheck, int, float]) -> float:
        layer, _, relative = row
        return (layer.max_abs_diff or 0.0) if heads else relative

    worst = max(found, key=distance)
    return Check(
        heads=heads,
        dtype=str(dtype).removeprefix("torch."),
        tolerance=TOLERANCES.get(dtype, COARSE),
        max_abs_diff=distance(worst),
        worst=worst[0],
        layers=tuple(layer for layer, _, _ in found),
    )
