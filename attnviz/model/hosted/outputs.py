"""The matrix with which the heads of each attention write, found by what it is given in a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attnviz.attention.kernel import Kind
from attnviz.model.hosted.attention import KernelAttention, Outputs


class OutputProbe(KernelAttention):
    """An attention function that finds the linear map that is given just what an attention returned.

    Such a map is W_O, whatever its name is. Where something else comes first, such as a gate, there is none.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.found: Outputs = {}
        self._context: tuple[tuple[Kind, int], Tensor] | None = None

    def __call__(self, *given: Any, **facts: Any) -> tuple[Tensor, None]:
        """Attend, and keep what comes of it until a linear map is given it."""
        context, _ = super().__call__(*given, **facts)
        self._context = self._calls.last, context.flatten()
        return context, None

    @contextlib.contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """See what the linear maps of ``model`` are given inside the block."""
        maps = [module for module in model.modules() if isinstance(module, nn.Linear | Conv1D)]
        hooks = [module.register_forward_pre_hook(self._see) for module in maps]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _see(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        if self._context is None or not given or not isinstance(given[0], Tensor):
            return
        place, context = self._context
        weight = module.weight
        if not isinstance(weight, Tensor) or not weight.is_floating_point() or weight.is_meta:
            return
        if given[0].numel() == len(context) and torch.equal(given[0].flatten(), context):
            matrix = weight.T if isinstance(module, Conv1D) else weight
            bias = module.bias
            self.found[place] = matrix.detach(), bias.detach() if isinstance(bias, Tensor) else None
            self._context = None
