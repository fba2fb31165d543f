"""Where a token stands, said to the embeddings, by turning queries and keys, or by adding to the scores."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnviz.attention.kernel import Bias
from attnviz.model.architecture.spec import (
    ALiBi,
    Disentangled,
    Dynamic,
    Learned,
    Linear,
    Llama3,
    LongRope,
    RelativeBuckets,
    Rotary,
    Sinusoidal,
    Yarn,
)


def position_rows(ids: Tensor, at: Tensor, spec: Learned | Sinusoidal) -> Tensor:
    """The rows of the position table for the tokens ``ids`` (…, T) at the positions ``at`` (…, T)."""
    if spec.padding is None:
        return at + spec.offset
    counted = ids != spec.padding
    return torch.where(counted, at[..., :1] + counted.cumsum(-1) - 1 + spec.offset, spec.offset - 1)


def sinusoids(row: Tensor, width: int, dtype: torch.dtype, spec: Sinusoidal) -> Tensor:
    """The sines, then the cosines, of the rows ``row`` (T,) in waves of 2π to 20000π tokens, (T, width)."""
    half = (width + 1) // 2
    if spec.whole:
        exact = torch.promote_types(dtype, torch.float32)
        steps = torch.arange(half, dtype=exact, device=row.device)
        angles = row.to(exact)[:, None] * torch.exp(steps * -(math.log(10_000) / (half - 1)))
    else:
        steps = torch.arange(half, dtype=torch.float64, device=row.device)
        angles, exact = row.double()[:, None] / 10_000 ** (2 * steps / width), torch.float32
    table = torch.cat((angles.sin(), angles.cos()[:, : width // 2]), dim=1).to(exact).to(dtype)
    return table if spec.padding is None else table * (row >= spec.offset)[:, None]


def rotary_factors(rotary: Rotary, at: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the factors of ``apply_rotary`` at the positions ``at`` (T,), of dimensions and their partners (T, size).

    That is the cosine, and the sine with its sign, of angles in float32 at least (Su et al. 2021, eq. 34).
    """
    exact = torch.promote_types(dtype, torch.float32)
    steps = torch.arange(0, rotary.size, 2, dtype=exact, device=at.device) / rotary.size
    frequencies, factor = _scaled(rotary, steps, int(at[-1]) + 1)
    angles = at.to(exact)[:, None] * frequencies  # (T, size/2)
    cos, sin = angles.cos() * factor, angles.sin() * factor
    if rotary.interleaved:
        return cos.repeat_interleave(2, dim=-1), torch.stack((-sin, sin), dim=-1).flatten(-2)
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def _scaled(rotary: Rotary, steps: Tensor, length: int) -> tuple[Tensor, float]:
    """The angles that a text of ``length`` tokens turns by from token to token, and what multiplies their sines."""
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
        case Yarn() as scaling:
            return _yarn(scaling, rotary, waves), scaling.attention


def _llama3(scaling: Llama3, plain: Tensor) -> Tensor:
    turned = scaling.original * plain / (2 * math.pi)  # how often each wave turns in the original length
    blend = ((turned - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return (1 - blend) * plain / scaling.factor + blend * plain


def _yarn(scaling: Yarn, rotary: Rotary, waves: Tensor) -> Tensor:
    def dimension(turned: float) -> float:
        """The dimension whose wave turns so often in the original length."""
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
    """Turn ``x`` (heads, T, D) by what ``rotary_factors`` gives."""
    turned, kept = x[..., : rotary.size].to(cos.dtype), x[..., rotary.size :]
    if rotary.interleaved:
        partner = turned.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)  # type: ignore[no-untyped-call]
    else:
        partner = torch.cat(turned.chunk(2, dim=-1)[::-1], dim=-1)
    turned = (turned * cos).add_(partner.mul_(sin)).to(x.dtype)
    return torch.cat((turned, kept), dim=-1) if kept.shape[-1] else turned


def alibi_bias(heads: int, spec: ALiBi) -> Bias:
    """−slope_h · |q − k|, the slopes of Press et al. 2022: a geometric row from 2^(−8/H); for H that is no power
    of two, the row of the next lower power followed by every other slope of the next higher one.
    """
    lower = 2 ** math.floor(math.log2(heads))
    row = [2 ** (-8 * (i + 1) / lower) for i in range(lower)]
    row += [2 ** (-4 * (2 * i + 1) / lower) for i in range(heads - lower)]
    slopes = torch.tensor(row, dtype=torch.float64)[:, None, None] * spec.scale  # (H, 1, 1)
    rounded = torch.tensor(row, dtype=torch.bfloat16)[:, None, None]

    def bias(at: Tensor, to: Tensor) -> Tensor:
        if spec.bfloat16:  # the same for all queries: the softmax does not see what is added to a whole row
            return (rounded.to(at.device) * to[None, None, :]).double() * spec.scale
        distance = (at[:, None] - to[None, :]).abs()  # (n, m)
        return -slopes.to(at.device) * distance

    return bias


def relative_bias(table: Tensor, spec: RelativeBuckets) -> Bias:
    """The learned bias of the bucket in which key minus query falls; ``table`` is (buckets, H)."""

    def bias(at: Tensor, to: Tensor) -> Tensor:
        buckets = _bucket(to[None, :] - at[:, None], spec, table.dtype)
        return table[buckets].permute(2, 0, 1)  # (n, m, H) → (H, n, m)

    return bias


def _bucket(ahead: Tensor, spec: RelativeBuckets, dtype: torch.dtype) -> Tensor:
    """Raffel et al. 2020: half of the buckets are one distance each, the rest grow with its logarithm."""
    buckets, first = spec.buckets, torch.zeros_like(ahead)
    if spec.bidirectional:
        buckets //= 2
        first = (ahead > 0) * buckets
        distance = ahead.abs()
    else:
        distance = (-ahead).clamp(min=0)
    exact = buckets // 2
    # In the type of the model: where a distance lies on an edge, rounding decides its bucket.
    near = distance.clamp(min=1).to(torch.promote_types(dtype, torch.float32))
    growth = torch.log(near / exact) / math.log(spec.max_distance / exact)
    far = (exact + (growth * (buckets - exact)).long()).clamp(max=buckets - 1)
    return first + torch.where(distance < exact, distance, far)


def disentangled_bias(
    q: Tensor, k: Tensor, queries: Tensor | None, keys: Tensor | None, spec: Disentangled, scale: float
) -> Bias:
    """Contents · positions and positions · contents, times ``scale`` (He et al. 2021, eq. 4).

    ``q`` and ``k`` (…, H, T, D) are those of the contents, ``queries`` and ``keys`` (H, 2·span, D) of the positions.
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
    """Signed distances up to half of the span as they are, farther ones by their logarithm (He et al. 2021)."""
    if spec.max_distance is None:
        return distance
    middle = spec.span // 2
    far = distance.abs().clamp(min=middle).to(torch.promote_types(dtype, torch.float32))
    log = torch.log(far / middle) / torch.log(torch.tensor((spec.max_distance - 1) / middle, dtype=far.dtype))
    bucket = (torch.ceil(log * (middle - 1)) + middle).long() * distance.sign()
    return torch.where(distance.abs() <= middle, distance, bucket)
