"""Linear layers and norms, computed from their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.model.architecture.spec import LayerNorm, Norm, RMSNorm

MANY = 256
"""The number of tokens from which a bias is added to the product on the CPU; torch would first fill the result
with it."""


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """The norm of states (T, C) with the size of each frozen, which is linear: norm(x) = factor · map(x) + bias.

    So the norm of a sum is the sum of its mapped parts times the factor of the whole sum (Kobayashi et al. 2021).

    Attributes:
        gain: the weights (C,).
        factor: one over the size of each state (T, 1).
        centred: whether the mean is taken off.
        bias: the bias (C,), if there is one.
    """

    gain: Tensor | float
    factor: Tensor
    centred: bool
    bias: Tensor | None

    def map(self, part: Tensor) -> Tensor:
        """A part (…, C) of a sum as it comes out, without the factor of the sum."""
        return (part - part.mean(-1, keepdim=True) if self.centred else part) * self.gain

    def back(self, direction: Tensor) -> Tensor:
        """The direction (T, C) before the norm that adds as much as ``direction`` adds behind it: the transpose."""
        found = direction * self.gain
        return (found - found.mean(-1, keepdim=True) if self.centred else found) * self.factor


class Parts:
    """Computes linear layers and norms from ``tensors``; each is named ``at`` as in ``tensor_shapes``."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def _linear(self, at: str, x: Tensor, number: int | None = None) -> Tensor:
        weight, bias = self.tensors[f"{at}.weight"], self.tensors.get(f"{at}.bias")
        if number is not None:
            weight, bias = weight[number], None if bias is None else bias[number]
        if bias is None or len(x) < MANY or x.device.type != "cpu":
            return functional.linear(x, weight, bias)
        return functional.linear(x, weight).add_(bias)

    def frozen_norm(self, at: str, norm: Norm, x: Tensor) -> FrozenNorm:
        """Return the norm as it is of the states ``x`` (T, C), each of which keeps the factor that it has."""
        weight = self.tensors.get(f"{at}.weight")
        centred = isinstance(norm, LayerNorm)
        size = x.var(-1, correction=0, keepdim=True) if centred else x.square().mean(-1, keepdim=True)
        gain = 1.0 if weight is None else weight + norm.offset
        return FrozenNorm(gain, (size + norm.eps).rsqrt(), centred, self.tensors.get(f"{at}.bias"))

    def _norm(self, at: str, norm: Norm, x: Tensor) -> Tensor:
        weight = self.tensors.get(f"{at}.weight")
        if isinstance(norm, LayerNorm) and (weight is None or weight.dim() == 1):
            weight = weight + norm.offset if weight is not None and norm.offset else weight
            return functional.layer_norm(x, x.shape[-1:], weight, self.tensors.get(f"{at}.bias"), norm.eps)
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        # A layer norm of which each head has its own weights, (heads, D), or an RMS norm.
        normed = functional.layer_norm if isinstance(norm, LayerNorm) else functional.rms_norm
        exact = normed(exact, exact.shape[-1:], eps=norm.eps)
        if weight is None:
            return exact.to(x.dtype)
        if isinstance(norm, RMSNorm) and not (norm.once or norm.offset):
            return exact.to(x.dtype) * weight
        # In half precision 1 + weight loses most of a small weight.
        weight = weight.to(exact.dtype)
        return (exact * (weight + norm.offset if norm.offset else weight)).to(x.dtype)
