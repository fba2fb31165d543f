"""The activation functions of MLPs, by the names that configs use. They may overwrite their argument.

torch is loaded when one is called: what only asks for the names does without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def _gelu(x: Tensor, approximate: str) -> Tensor:
    """GELU in place, unlike torch's functional form: for many tokens, allocating costs more than computing."""
    import torch

    done: Tensor = torch.ops.aten.gelu_(x, approximate=approximate)
    return done


def _functional(x: Tensor, name: str, **given: bool) -> Tensor:
    """A function of ``torch.nn.functional``."""
    from torch.nn import functional

    done: Tensor = getattr(functional, name)(x, **given)
    return done


def _fast_gelu(x: Tensor) -> Tensor:
    """The tanh approximation of GELU with √(2/π) rounded to eight digits, as in BLOOM and older models."""
    return 0.5 * x * (1.0 + (x * 0.7978845608 * (1.0 + 0.044715 * x * x)).tanh())


def _bloom_gelu(x: Tensor) -> Tensor:
    """The tanh approximation of GELU with √(2/π) rounded as in BLOOM's training."""
    return 0.5 * x * (1.0 + (0.79788456 * x * (1.0 + 0.044715 * x * x)).tanh())


def xielu(x: Tensor, positive: Tensor, negative: Tensor, beta: Tensor, eps: Tensor) -> Tensor:
    """XIELU with the learned numbers of a layer, as ``spec.XIELU`` says it."""
    import torch
    from torch.nn import functional

    rise, fall = functional.softplus(positive), beta + functional.softplus(negative)
    return torch.where(x > 0, rise * x * x + beta * x, (torch.expm1(torch.minimum(x, eps)) - x) * fall + beta * x)


_exact_gelu, _tanh_gelu = partial(_gelu, approximate="none"), partial(_gelu, approximate="tanh")
_silu = partial(_functional, name="silu", inplace=True)

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "bloom_gelu": _bloom_gelu,
    "gelu": _exact_gelu,
    "gelu_fast": _fast_gelu,
    "gelu_new": _tanh_gelu,
    "gelu_python": _exact_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "gelu_python_tanh": _tanh_gelu,
    "leaky_relu": partial(_functional, name="leaky_relu"),
    "linear": lambda x: x,
    "mish": partial(_functional, name="mish"),
    "quick_gelu": lambda x: x * (1.702 * x).sigmoid(),
    "relu": lambda x: x.relu_(),
    "relu2": lambda x: x.relu().square(),
    "relu6": partial(_functional, name="relu6"),
    "sigmoid": lambda x: x.sigmoid(),
    "silu": _silu,
    "swish": _silu,
    "tanh": lambda x: x.tanh(),
}
