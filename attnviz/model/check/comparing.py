"""Compare what attnviz and transformers computed in a layer, and sum up all layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind
from attnviz.errors import ModelError
from attnviz.model.check.report import Check, LayerCheck, Rounding, RowCounts, tolerance_of


@dataclass(frozen=True)
class Compared:
    """One layer's part of a check.

    Args:
        layer: the differences.
        heads: how many heads were compared.
        relative: the |Δ| of the states, relative to the largest.
    """

    layer: LayerCheck
    heads: int
    relative: float


def compare_layer(
    kind: Kind, number: int, apart: Tensor | None, states: tuple[float | None, float], rows: RowCounts | None = None
) -> Compared:
    """Summarise one layer from |Δ| of its weights, ``apart`` (H, N, M), and the differences of its ``states``."""
    hidden, relative = states
    if apart is None:
        return Compared(LayerCheck(kind, number, None, None, None, hidden, rows), 0, relative)
    heads = apart.amax((-2, -1))  # (H,)
    most, mean, worst = float(heads.max()), float(apart.mean()), int(heads.argmax())
    return Compared(LayerCheck(kind, number, most, mean, worst, hidden, rows), len(apart), relative)


def weight_differences(mine: Tensor, other: Tensor) -> Tensor:
    """Return |Δ| of two layers' weights (H, N, M), attnviz's and transformers'."""
    if mine.shape != other.shape:
        raise ModelError(f"our attention has the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    return (mine - other.to(mine)).abs().nan_to_num(nan=torch.inf)


def state_differences(mine: Tensor, other: Tensor) -> tuple[float, float]:
    """Return the largest |Δ| of the states (T, C) after a layer, and that relative to the largest state."""
    if mine.shape != other.shape:
        raise ModelError(f"our hidden states have the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    far = float((mine - other.to(mine)).abs().nan_to_num(nan=torch.inf).max())
    return far, far / max(1.0, float(other.abs().max()))


def rounding_ratio(mine: Tensor, theirs: Tensor, exact: Tensor) -> Tensor:
    """Return the distance of ``mine`` from ``theirs`` (…, N, M), divided by that of ``theirs`` from ``exact``, (…).

    The divisor is at least half the epsilon of the type.
    """
    a, b, c = (tensor.detach().to("cpu", torch.float64) for tensor in (mine, theirs, exact))
    apart, moved = (torch.linalg.vector_norm(tensor, dim=(-2, -1)) for tensor in (a - b, b - c))
    least = torch.finfo(theirs.dtype).eps / 2 * torch.linalg.vector_norm(c, dim=(-2, -1))
    times: Tensor = apart / torch.maximum(moved, least).clamp(min=torch.finfo(torch.float64).tiny)
    return times.nan_to_num(nan=torch.inf)


def worst_rounding(times: Tensor, wider: str, kind: Kind, number: int) -> Rounding:
    """Return the largest of a layer's ratios (H,) and its head."""
    return Rounding(float(times.max()), wider, kind, number, int(times.argmax()))


def summarise_layers(found: Sequence[Compared], dtype: torch.dtype, tolerance: float | None = None) -> Check:
    """Make a ``Check`` of all layers, which ran in ``dtype``; the ``tolerance`` is that of the type by default."""
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
