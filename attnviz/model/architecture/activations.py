"""The activation functions of MLPs, by the names that configs use. They may overwrite their argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

# In place, unlike torch's functional form: for many tokens, allocating costs more than computing.
_gelu: Callable[[Tensor], Tensor] = partial(torch.ops.aten.gelu_, approximate="none")
_tanh_gelu: Callable[[Tensor], Tensor] = partial(torch.ops.aten.gelu_, approximate="tanh")


def _fast_gelu(x: Tensor) -> Tensor:
    """The tanh approximation of GELU with √(2/π) rounded to eight digits, as in BLOOM and older models."""
    return 0.5 * x * (1.0 + torch.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x)))


def _bloom_gelu(x: Tensor) -> Tensor:
    """The tanh approximation of GELU with √(2/π) rounded as in BLOOM's training."""
    return 0.5 * x * (1.0 + torch.tanh(0.79788456 * x * (1.0 + 0.044715 * x * x)))


def xielu(x: Tensor, positive: Tensor, negative: Tensor, beta: Tensor, eps: Tensor) -> Tensor:
    """XIELU with the learned numbers of a layer, as ``spec.XIELU`` says it."""
    rise, fall = functional.softplus(positive), beta + functional.softplus(negative)
    return torch.where(x > 0, rise * x * x + beta * x, (torch.expm1(torch.minimum(x, eps)) - x) * fall + beta * x)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "bloom_gelu": _bloom_gelu,
    "gelu": _gelu,
    "gelu_fast": _fast_gelu,
    "gelu_new": _tanh_gelu,
    "gelu_python": _gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "gelu_python_tanh": _tanh_gelu,
    "leaky_relu": functional.leaky_relu,
    "linear": lambda x: x,
    "mish": functional.mish,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": functional.relu_,
    "relu2": lambda x: functional.relu(x).square(),
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "silu": partial(functional.silu, inplace=True),
    "swish": partial(functional.silu, inplace=True),
    "tanh": torch.tanh,
}
