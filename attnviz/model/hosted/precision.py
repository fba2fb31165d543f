"""Control the precision of the transformers side of a comparison."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class _Double(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        if func is Tensor.float:
            func = Tensor.double
        args = tuple(torch.float64 if value is torch.float32 else value for value in args)
        named = {name: torch.float64 if value is torch.float32 else value for name, value in (kwargs or {}).items()}
        return func(*args, **named)


@contextlib.contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Make transformers compute in ``dtype`` throughout, inside the block.

    Its models compute norms, angles and softmax in float32 even if the model is in float64; inside, for float64, code
    that asks for float32 gets float64. Models must be built inside too, since they keep their angles.
    """
    if dtype is not torch.float64:
        yield
        return
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Double():
            yield
    finally:
        torch.set_default_dtype(before)
