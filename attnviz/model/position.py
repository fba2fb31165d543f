"""Where a token stands, said to the attention: by turning queries and keys, or by adding to the scores."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnviz.model.kernel import Bias
from attnviz.model.spec import RelativeBuckets, Rotary


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Turn ``x`` (heads, N, D) by the positions 0 … N−1 (Su et al. 2021, eq. 34).

    The angles are computed in float32 at least, and in float64 for float64 inputs.
    """
    exact = torch.promote_types(x.dtype, torch.float32)
    half = rotary.size // 2
    turns = rotary.theta ** (-torch.arange(half, dtype=exact, device=x.device) / half)
    angles = torch.arange(x.shape[-2], dtype=exact, device=x.device)[:, None] * turns  # (N, size/2)
    cos, sin = angles.cos(), angles.sin()
    turned, kept = x[..., : rotary.size].to(exact), x[..., rotary.size :]
    if rotary.interleaved:
        a, b = turned[..., 0::2], turned[..., 1::2]
        turned = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
    else:
        a, b = turned[..., :half], turned[..., half:]
        turned = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    return torch.cat((turned.to(x.dtype), kept), dim=-1)


def alibi(heads: int) -> Bias:
    """−slope_h · |q − k|, the slopes of Press et al. 2022: a geometric row from 2^(−8/H); for H that is no power
    of two, the row of the next lower power followed by every other slope of the next higher one.
    """
    lower = 2 ** math.floor(math.log2(heads))
    row = [2 ** (-8 * (i + 1) / lower) for i in range(lower)]
    row += [2 ** (-4 * (2 * i + 1) / lower) for i in range(heads - lower)]
    slopes = torch.tensor(row, dtype=torch.float64)

    def bias(at: Tensor, to: Tensor) -> Tensor:
        distance = (at[:, None] - to[None, :]).abs()  # (n, m)
        return -slopes.to(at.device)[:, None, None] * distance

    return bias


def relative(table: Tensor, spec: RelativeBuckets) -> Bias:
    """The learned bias of the bucket in which key minus query falls; ``table`` is (buckets, H)."""

    def bias(at: Tensor, to: Tensor) -> Tensor:
        return table[_bucket(to[None, :] - at[:, None], spec)].permute(2, 0, 1)  # (n, m, H) → (H, n, m)

    return bias


def _bucket(ahead: Tensor, spec: RelativeBuckets) -> Tensor:
    """Raffel et al. 2020: half of the buckets are one distance each, the rest grow with its logarithm."""
    buckets, first = spec.buckets, torch.zeros_like(ahead)
    if spec.bidirectional:
        buckets //= 2
        first = (ahead > 0) * buckets
        distance = ahead.abs()
    else:
        distance = (-ahead).clamp(min=0)
    exact = buckets // 2
    growth = torch.log(distance.clamp(min=1).float() / exact) / math.log(spec.max_distance / exact)
    far = (exact + (growth * (buckets - exact)).long()).clamp(max=buckets - 1)
    return first + torch.where(distance < exact, distance, far)
