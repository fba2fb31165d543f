"""Position encodings: added to the embeddings, rotating queries and keys, or added to the scores."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnviz.attention.scores import Bias
from attnviz.model.architecture.spec import (
    ALiBi,
    Disentangled,
    Dynamic,
    Learned,
    Linear,
    Llama3,
    LongRope,
    Proportional,
    RelativeBuckets,
    Rotary,
    Sinusoidal,
    Temperature,
    Yarn,
)


def position_rows(ids: Tensor, at: Tensor, spec: Learned | Sinusoidal) -> Tensor:
    """Return the rows of the position table for the tokens ``ids`` (…, T) at the positions ``at`` (…, T)."""
    if spec.padding is None:
        return at + spec.offset
    counted = ids != spec.padding
    return torch.where(counted, at[..., :1] + counted.cumsum(-1) - 1 + spec.offset, spec.offset - 1)


def sinusoids(row: Tensor, width: int, dtype: torch.dtype, spec: Sinusoidal) -> Tensor:
    """Return the sinusoidal position vectors (T, width) of the rows ``row`` (T,): sines, then cosines.

    The wavelengths run from 2π to 20000π tokens (Vaswani et al. 2017).
    """
    half, exact = (width + 1) // 2, torch.promote_types(dtype, torch.float32)
    if spec.whole:
        steps = torch.arange(half, dtype=exact, device=row.device)
        angles = row.to(exact)[:, None] * torch.exp(steps * -(math.log(10_000) / (half - 1)))
    else:
        within = exact if spec.rounded else torch.float64
        steps = torch.arange(half, dtype=within, device=row.device)
        angles = row.to(within)[:, None] * (1 / 10_000 ** (2 * steps / width))
        exact = exact if spec.rounded else torch.float32
    table = torch.cat((angles.sin(), angles.cos()[:, : width // 2]), dim=1).to(exact).to(dtype)
    return table if spec.padding is None else table * (row >= spec.offset)[:, None]


def rotary_factors(
    rotary: Rotary, at: Tensor, dtype: torch.dtype, table: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the factors of ``apply_rotary`` for dimensions and their partners at the positions ``at`` (T,), each (T,
    size).

    These are the cosine and the signed sine of the angles (Su et al. 2021, eq. 34), in float32 at least; ``table``
    (…, size) are the sines and cosines of all positions where a checkpoint contains them, or the angles per token
    (size/2,).
    """
    exact = torch.promote_types(dtype, torch.float32)
    if rotary.table:
        rows = sinusoids(at, rotary.size, exact, Sinusoidal(rotary.table)) if table is None else table[at].to(exact)
        sin, cos = rows.chunk(2, dim=-1)  # (T, size/2)
    else:
        steps = torch.arange(0, rotary.size, 2, dtype=exact, device=at.device) / rotary.size
        frequencies, factor = _scaled(rotary, steps, int(at[-1]) + 1)
        frequencies = frequencies if table is None else table.to(exact)
        angles = at.to(exact)[:, None] * frequencies  # (T, size/2)
        cos, sin = angles.cos() * factor, angles.sin() * factor
    sin = -sin if rotary.backwards else sin
    if rotary.interleaved:
        return cos.repeat_interleave(2, dim=-1), torch.stack((-sin, sin), dim=-1).flatten(-2)
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def _scaled(rotary: Rotary, steps: Tensor, length: int) -> tuple[Tensor, float]:
    """Return the angle per token of each dimension in a text of ``length`` tokens, and the factor of sines and
    cosines.
    """
    waves = rotary.theta**steps
    plain = 1.0 / waves
    match rotary.scaling:
        case None:
            return plain, 1.0
        case Linear(factor):
            return plain / factor, 1.0
        case Dynamic(factor, original):
            growth = factor * max(length, original) / original - (factor - 1)
            return 1.0 / (rotary.theta * growth ** (rotary.size / (rotary.size - 2))) ** steps, 1.0
        case LongRope(short, long, original, attention):
            factors = torch.tensor(long if length > original else short, dtype=steps.dtype, device=steps.device)
            return 1.0 / (factors * waves), attention
        case Llama3() as scaling:
            return _llama3(scaling, plain), 1.0
        case Proportional(pairs, factor):
            turning = torch.arange(len(plain), device=plain.device) < pairs
            return torch.where(turning, plain / factor, 0), 1.0
        case Yarn() as scaling:
            return _yarn(scaling, rotary, waves), scaling.attention


def _llama3(scaling: Llama3, plain: Tensor) -> Tensor:
    turned = scaling.original * plain / (2 * math.pi)  # rotations of each dimension in the original length
    blend = ((turned - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return (1 - blend) * plain / scaling.factor + blend * plain


def _yarn(scaling: Yarn, rotary: Rotary, waves: Tensor) -> Tensor:
    def dimension(turned: float) -> float:
        """Return the dimension that rotates so often in the original length."""
        return rotary.size * math.log(scaling.original / (turned * 2 * math.pi)) / (2 * math.log(rotary.theta))

    low, high = dimension(scaling.fast), dimension(scaling.slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rotary.size - 1)
    if low == high:
        high += 0.001
    ramp = ((torch.arange(len(waves), dtype=waves.dtype, device=waves.device) - low) / (high - low)).clamp(0, 1)
    return ramp / (scaling.factor * waves) + (1 - ramp) / waves


def apply_rotary(x: Tensor, rotary: Rotary, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate ``x`` (heads, T, D) by the factors of ``rotary_factors``."""
    parts = [rotary.size, x.shape[-1] - rotary.size]
    turned, kept = torch.split(x, parts, -1) if not rotary.last else torch.split(x, parts[::-1], -1)[::-1]
    turned = turned.to(cos.dtype)
    if rotary.interleaved:
        partner = turned.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)  # type: ignore[no-untyped-call]
    else:
        partner = torch.cat(turned.chunk(2, dim=-1)[::-1], dim=-1)
    turned = (turned * cos).add_(partner.mul_(sin)).to(x.dtype)
    if not kept.shape[-1]:
        return turned
    return torch.cat((kept, turned) if rotary.last else (turned, kept), dim=-1)


def temperatures(spec: Temperature, at: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the factors of queries at the positions ``at`` (T,), as a column (T, 1), in float32 at least."""
    steps = ((at + spec.offset).to(torch.promote_types(dtype, torch.float32)) / spec.every).floor()
    return (torch.log1p(steps) * spec.weight + 1)[:, None]


_FAR = -1e30
"""A bias that leaves a weight of exactly 0, and is finite in a sum of all scores, by which NaN is noticed."""


def chunk_mask(size: int) -> Bias:
    """Return the bias that hides keys of other chunks of ``size`` tokens than the query's own."""

    def bias(at: Tensor, to: Tensor) -> Tensor:
        other = at[:, None] // size != to[None, :] // size  # (n, m)
        return torch.where(other, _FAR, 0.0)[None]

    return bias


def alibi_bias(heads: int, spec: ALiBi) -> Bias:
    """Return the bias −slope_h · |q − k| of ALiBi.

    The slopes (Press et al. 2022) are a geometric series from 2^(−8/H). If H is not a power of two, they are those of
    the next lower power, followed by every other slope of the next higher one.
    """
    lower = 2 ** math.floor(math.log2(heads))
    row = [2 ** (-8 * (i + 1) / lower) for i in range(lower)]
    row += [2 ** (-4 * (2 * i + 1) / lower) for i in range(heads - lower)]
    slopes = torch.tensor(row, dtype=torch.float64)[:, None, None] * spec.scale  # (H, 1, 1)
    rounded = torch.tensor(row, dtype=torch.bfloat16)[:, None, None]

    def bias(at: Tensor, to: Tensor) -> Tensor:
        if spec.bfloat16:  # independent of the query: the softmax ignores what is added to a whole row
            return (rounded.to(at.device) * to[None, None, :]).double() * spec.scale
        distance = (at[:, None] - to[None, :]).abs()  # (n, m)
        return -slopes.to(at.device) * distance

    return bias


def relative_bias(table: Tensor, spec: RelativeBuckets) -> Bias:
    """Return the learned bias by bucket of key minus query; ``table`` is (buckets, H)."""

    def bias(at: Tensor, to: Tensor) -> Tensor:
        buckets = _bucket(to[None, :] - at[:, None], spec, table.dtype)
        return table[buckets].permute(2, 0, 1)  # (n, m, H) → (H, n, m)

    return bias


def made_bias(biases: Tensor, spec: RelativeBuckets, first: int) -> Bias:
    """Return the bias by bucket of key minus query, which each query has made: ``biases`` are (…, H, N, buckets), of
    queries that stand from the position ``first`` on.
    """

    def bias(at: Tensor, to: Tensor) -> Tensor:
        buckets = _bucket(to[None, :] - at[:, None], spec, biases.dtype)
        return torch.gather(biases[..., at - first, :], -1, buckets.expand(*biases.shape[:-2], -1, -1))

    return bias


def _bucket(ahead: Tensor, spec: RelativeBuckets, dtype: torch.dtype) -> Tensor:
    """Return the bucket of each distance: half of the buckets hold one distance each, the rest grow logarithmically.

    The scheme is T5's (Raffel et al. 2020).
    """
    buckets, first = spec.buckets, torch.zeros_like(ahead)
    if spec.bidirectional:
        buckets //= 2
        first = (ahead > 0) * buckets
        distance = ahead.abs()
    else:
        distance = (-ahead).clamp(min=0)
    exact = buckets // 2
    # In the model's type: for a distance on an edge, rounding decides the bucket.
    near = distance.clamp(min=1).to(torch.promote_types(dtype, torch.float32))
    growth = torch.log(near / exact) / math.log(spec.max_distance / exact)
    far = (exact + (growth * (buckets - exact)).long()).clamp(max=buckets - 1)
    return first + torch.where(distance < exact, distance, far)


def disentangled_bias(
    q: Tensor, k: Tensor, queries: Tensor | None, keys: Tensor | None, spec: Disentangled, scale: float
) -> Bias:
    """Return the content-to-position and position-to-content scores, times ``scale`` (He et al. 2021, eq. 4).

    Args:
        q: the queries of the contents, (…, H, T, D).
        k: the keys of the contents, (…, H, T, D).
        queries: the queries of the relative positions, (H, 2·span, D); None if they are not used.
        keys: their keys, likewise.
        spec: the facts of the positions.
        scale: the factor of all scores.
    """

    def bias(at: Tensor, to: Tensor) -> Tensor:
        row = _log_bucket(at[:, None] - to[None, :], spec, q.dtype) + spec.span
        row = row.clamp(0, 2 * spec.span - 1).expand(*q.shape[:-2], -1, -1)  # (…, H, n, m)
        total = q.new_zeros(())
        if keys is not None:
            total = total + torch.gather(q[..., at, :] @ keys.mT, -1, row)  # (…, H, n, 2·span) → (…, H, n, m)
        if queries is not None:
            looked = k[..., to, :] @ queries.mT  # (…, H, m, 2·span)
            total = total + torch.gather(looked, -1, row.mT).mT
        return total * scale

    return bias


def _log_bucket(distance: Tensor, spec: Disentangled, dtype: torch.dtype) -> Tensor:
    """Return signed distances, unchanged up to half of the span, and logarithmic beyond (He et al. 2021)."""
    if spec.max_distance is None:
        return distance
    middle = spec.span // 2
    far = distance.abs().clamp(min=middle).to(torch.promote_types(dtype, torch.float32))
    log = torch.log(far / middle) / torch.log(torch.tensor((spec.max_distance - 1) / middle, dtype=far.dtype))
    bucket = (torch.ceil(log * (middle - 1)) + middle).long() * distance.sign()
    return torch.where(distance.abs() <= middle, distance, bucket)
