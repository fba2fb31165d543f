"""Copy a transformers model with all modifications, and convert it to another type."""

from __future__ import annotations

import contextlib
import copy
import functools
import types
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from attnviz.model.hosted.modifications import rebuild, same_values, unsaved_tensors
from attnviz.model.hosted.precision import precision


def deep_copy(model: nn.Module) -> Any:
    """Return a deep copy of ``model``, in which hooks and replaced functions refer to the copy."""
    memo: dict[int, Any] = {}
    for module in model.modules():  # tensors computed from parameters can't be deep-copied
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    copied = copy.deepcopy(model, memo)
    for module in copied.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, types.FunctionType | functools.partial):
                vars(module)[name] = _referring(value, memo)
            elif name in ("_forward_hooks", "_forward_pre_hooks"):
                vars(module)[name] = OrderedDict((key, _referring(hook, memo)) for key, hook in value.items())
    return copied


def _referring(value: Any, memo: dict[int, Any]) -> Any:
    """Return ``value`` with all references replaced by the copies in ``memo``."""
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, functools.partial):
        given = {name: _referring(each, memo) for name, each in value.keywords.items()}
        return functools.partial(
            _referring(value.func, memo), *(_referring(each, memo) for each in value.args), **given
        )
    if isinstance(value, types.MethodType):
        return types.MethodType(value.__func__, _referring(value.__self__, memo))
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_referring(each, memo) for each in value)
    if not isinstance(value, types.FunctionType) or not value.__closure__:
        return value
    cells = tuple(types.CellType() for _ in value.__closure__)
    made = types.FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
    made.__kwdefaults__ = value.__kwdefaults__
    memo[id(value)] = made
    for cell, old in zip(cells, value.__closure__, strict=True):
        with contextlib.suppress(ValueError):  # the cell is still empty
            cell.cell_contents = _referring(old.cell_contents, memo)
    return made


def cast(model: Any, dtype: torch.dtype | None) -> Any:
    """Convert ``model`` in place to ``dtype`` (None keeps its type).

    Tensors that it computed from its config, such as rotary angles, are computed again in that type; those that no
    longer match the config are only converted.
    """
    if dtype is None or (dtype is next(model.parameters()).dtype and dtype is not torch.float64):
        return model
    kept = {(name, key): tensor for name, module in model.named_modules() for key, tensor in unsaved_tensors(module)}
    fresh = _remade(model, dtype) if kept else {}
    model.to(dtype)
    for name, module in model.named_modules():
        for key, _ in unsaved_tensors(module):
            before, exact = kept[name, key], fresh.get((name, key))
            if exact is not None and before.is_floating_point():
                before = exact.to(before.device)
            elif dtype is torch.float64 and before.is_floating_point():
                before = before.double()
            (module._buffers if key in module._buffers else vars(module))[key] = before
    return model.eval()


def _remade(model: Any, dtype: torch.dtype) -> dict[tuple[str, str], Tensor]:
    """Return the tensors that match the config, computed again from it in ``dtype``."""
    try:
        made = dict(rebuild(model).named_modules())
        with precision(dtype):
            exact = dict(rebuild(model, dtype).named_modules())
    except Exception:  # a user's class may need more than its config: its tensors are kept
        return {}
    found = {}
    for name, module in model.named_modules():
        mine, as_made, anew = (
            dict(unsaved_tensors(each)) if each is not None else {}
            for each in (module, made.get(name), exact.get(name))
        )
        for key in mine.keys() & as_made.keys() & anew.keys():
            if same_values(mine[key], as_made[key]):
                found[name, key] = anew[key]
    return found
