"""Find out whether a transformers model in memory was modified beyond the values of its tensors.

Only an unmodified model is fully described by its config and state_dict. The check builds a second model from the
config, without memory for large tensors, and compares the two module by module: classes, hooks, attributes, parameters,
and buffers that are not in the state_dict.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedConfig
from transformers.initialization import no_init_weights
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from attnviz.checkpoint import quiet_transformers
from attnviz.model.lock import MODEL_LOCK

_LARGE = 1 << 16
"""Tensors with more elements than this are created without memory."""

_OWN = tuple(str(Path(package.__file__).parent) for package in (transformers, torch) if package.__file__)
"""The folders of the installed transformers and torch."""

# Attributes that do not matter to a forward pass in evaluation mode.
_HARMLESS = re.compile(
    r"dropout|layerdrop|^(training|vocab_size|config|name_or_path|gradient_checkpointing|loss_type|generation_config|kernel_config"
    r"|model_tags|warnings_issued|hf_device_map|_is_hf_initialized|_output_capturing_hooks_installed|_modules"
    r"|_parameters|_buffers|_non_persistent_buffers_set|_is_full_backward_hook|\w*_hooks\w*|_gradient_checkpointing_func"
    r"|_compiled_call_impl|_version|_tp_size|_tp_plan|_ep_plan|_pp_plan|is_parallelizable|all_tied_weights_keys"
    r"|_keep_in_fp32\w*|_no_split_modules|_skip_keys_device_placement|_keys_to_ignore\w*|_is_stateful|_device_mesh)$"
)
_SETTINGS = {
    "architectures", "dtype", "output_attentions", "output_hidden_states", "return_dict", "torch_dtype",
    "transformers_version", "use_cache",
}  # fmt: skip
"""Config attributes that say how a model is used, not what it is."""


def find_modification(model: Any) -> str:
    """Return how ``model`` differs from what transformers builds from its config, naming the module; empty if it does
    not.
    """
    if not _is_own(type(model)):
        return f"{type(model).__name__} is not transformers' own class"
    if torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks:
        return "torch has a forward hook for all modules"
    for kind in dict.fromkeys(map(type, model.modules())):
        foreign = _foreign(kind)
        if foreign:
            return f"{foreign} is not transformers' own function"
    if not has_own_attention(model):
        return f"it attends by {model.config._attn_implementation}, which is not transformers' own function"
    try:
        made = rebuild(model)
    except Exception as error:  # a config that was changed may break the class in any way
        return f"its config makes no {type(model).__name__} ({error})"
    ours, theirs = dict(model.named_modules(remove_duplicate=False)), dict(made.named_modules(remove_duplicate=False))
    for name, module in ours.items():
        if name not in theirs:
            return f"it has a module {name}, which its config does not make"
        found = _difference(name or type(model).__name__, module, theirs[name])
        if found:
            return found
    lacking = next((name for name in theirs if name not in ours), "")
    return f"it lacks the module {lacking}, which its config makes" if lacking else _untied(ours, made)


def may_change_inputs(model: Any) -> bool:
    """Whether the outermost module of ``model`` may change the inputs of the inner one, as no head of transformers
    does.

    accelerate, which spreads a model over devices, keeps the original forward beside its own.
    """
    said = vars(model)
    forward = said.get("_old_forward" if "_hf_hook" in said else "forward", type(model).forward)
    return not all(map(_is_own, (type(model), forward, *model._forward_pre_hooks.values())))


def is_published(kind: type) -> bool:
    """Whether ``kind`` is a class of transformers' own."""
    return kind.__module__.startswith("transformers.")


def has_own_attention(model: Any) -> bool:
    """Whether all attention functions that ``model`` uses are transformers' own."""
    said = getattr(getattr(model, "config", None), "_attn_implementation", None)
    names = {type(module).__module__ for module in model.modules()}
    files = [sys.modules[name] for name in names if name.startswith("transformers.")]
    functions = [getattr(file, "eager_attention_forward", None) for file in files]
    functions.append(ALL_ATTENTION_FUNCTIONS.get(said))
    return not any(isinstance(function, types.FunctionType) and _is_strange(function) for function in functions)


def rebuild(model: Any, dtype: torch.dtype | None = None) -> Any:
    """Return a model of the same class and config, whose large tensors have no memory, in ``dtype`` or the model's
    type.
    """
    config = copy.deepcopy(model.config)
    config._attn_implementation_internal = "eager"
    kind = dtype or model.dtype
    with MODEL_LOCK, quiet_transformers(), no_init_weights(), torch.random.fork_rng(devices=[]):
        with contextlib.suppress(RuntimeError, NotImplementedError), _Hollow():
            made = type(model)._from_config(copy.deepcopy(config), dtype=kind)
            if not any(tensor.is_meta for module in made.modules() for _, tensor in unsaved_tensors(module)):
                return made
        return type(model)._from_config(config, dtype=kind)  # building it computes with a large tensor


def unsaved_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of ``module`` itself that are not in the state_dict: they are computed from the config."""
    for name, tensor in module._buffers.items():
        if name in module._non_persistent_buffers_set and tensor is not None:
            yield name, tensor
    yield from ((name, value) for name, value in vars(module).items() if isinstance(value, Tensor))


class _Hollow(TorchFunctionMode):
    """Create large tensors without memory inside the block."""

    def __torch_function__(
        self, func: Callable[..., Any], kinds: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del kinds
        given = kwargs or {}
        if func is torch.empty and not given.get("device"):
            sizes = args[0] if args and not isinstance(args[0], int) else args
            if all(isinstance(size, int) for size in sizes) and functools.reduce(int.__mul__, sizes, 1) > _LARGE:
                given = given | {"device": "meta"}
        return func(*args, **given)


def _difference(name: str, ours: nn.Module, theirs: nn.Module) -> str:
    """Return how one module differs from the other; empty if it does not."""
    if type(ours) is not type(theirs):
        names = type(ours).__name__, type(theirs).__name__
        if names[0] == names[1]:
            names = type(ours).__module__, type(theirs).__module__
        return f"{name} is a {names[0]}, its config makes a {names[1]}"
    for hook in (*ours._forward_pre_hooks.values(), *ours._forward_hooks.values()):
        if not _is_own(hook):  # transformers has hooks of its own, which record outputs
            return f"{name} has a forward hook ({getattr(hook, '__qualname__', type(hook).__name__)})"
    for kind in ("_parameters", "_buffers"):
        mine, other = getattr(ours, kind), getattr(theirs, kind)
        if mine.keys() != other.keys():
            return f"{name} has the {kind[1:]} {_names(mine)}, its config makes {_names(other)}"
        for key, tensor in mine.items():
            if _shape(tensor) != _shape(other[key]) or type(tensor) not in (Tensor, nn.Parameter, type(None)):
                return f"{name}.{key} is {_said(tensor)}, its config makes {_said(other[key])}"
    return _other_attribute(name, ours, theirs)


def _other_attribute(name: str, ours: nn.Module, theirs: nn.Module) -> str:
    """Return the first attribute that differs between two modules; empty if none does."""
    mine, other = vars(ours) | dict(unsaved_tensors(ours)), vars(theirs) | dict(unsaved_tensors(theirs))
    if "config" in other and not _same(mine.get("config"), other["config"]):
        return f"{name}.config is not the config of the model"
    for key in mine.keys() | other.keys():
        if _HARMLESS.search(key) or (key == "padding_idx" and type(ours) is nn.Embedding):  # used in training only
            continue
        if key not in other:
            # The forward pass reads it only if it overrides an attribute of the class.
            if key in ("forward", "__call__") or (callable(mine[key]) and hasattr(type(ours), key)):
                return f"{name}.{key} was replaced"
            if hasattr(type(ours), key) and not _same(mine[key], getattr(type(ours), key)):
                return f"{name}.{key} is {_said(mine[key])}, transformers' is {_said(getattr(type(ours), key))}"
        elif isinstance(mine.get(key), Tensor) and _shape(mine[key]) == _shape(other[key]):
            if not _same(mine[key], other[key]):
                return f"{name}.{key} holds other numbers than its config makes"
        elif key not in mine or not _same(mine[key], other[key]):
            return f"{name}.{key} is {_said(mine.get(key))}, its config makes {_said(other[key])}"
    return ""


def _untied(ours: Mapping[str, nn.Module], made: Any) -> str:
    """Return which tensors the config ties but the model does not; empty if there are none."""
    for one, other in (getattr(made, "all_tied_weights_keys", None) or {}).items():
        tensor, source = (_at(ours, path) for path in (one, other))
        if isinstance(tensor, Tensor) and isinstance(source, Tensor) and tensor is not source:
            if same_values(tensor, source):
                continue
            return f"{one} is not {other}, to which its config ties it"
    return ""


def _at(modules: Mapping[str, nn.Module], path: str) -> Any:
    name, _, key = path.rpartition(".")
    return getattr(modules.get(name), key, None)


def same_values(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and values, whatever their types."""
    if one.shape != other.shape or one.is_meta or other.is_meta:
        return False
    return torch.equal(one.detach().cpu().double(), other.detach().cpu().double())


def _same(one: Any, other: Any) -> bool:
    """Whether two attributes have the same value."""
    if one is other:
        return True
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return same_values(one, other)
    if isinstance(one, PreTrainedConfig) and isinstance(other, PreTrainedConfig):
        return type(one) is type(other) and _facts(one.to_dict()) == _facts(other.to_dict())
    if type(one) is not type(other):
        return False
    if isinstance(one, nn.Module):
        return True  # its class is the same, and it is compared as a module of its own
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, types.FunctionType):
        cells = [function.__closure__ or () for function in (one, other)]
        return one.__code__ is other.__code__ and _same(
            [cell.cell_contents for cell in cells[0]], [cell.cell_contents for cell in cells[1]]
        )
    if isinstance(one, types.MethodType):
        return _same(one.__func__, other.__func__) and type(one.__self__) is type(other.__self__)
    if isinstance(one, functools.partial):
        return _same([one.func, one.args, one.keywords], [other.func, other.args, other.keywords])
    if getattr(type(one), "__eq__", None) is object.__eq__ and hasattr(one, "__dict__"):
        return _same(vars(one), vars(other))
    return bool(one == other)


def _facts(said: Any) -> Any:
    """Return the attributes of a config, and of nested configs, that describe the model."""
    if not isinstance(said, dict):
        return said
    return {key: _facts(value) for key, value in said.items() if key not in _SETTINGS and not str(key).startswith("_")}


def _is_own(code: Any) -> bool:
    """Whether a class or function belongs to transformers or torch as installed."""
    if isinstance(code, type):
        return code.__module__.partition(".")[0] in ("transformers", "torch")
    code = code.func if isinstance(code, functools.partial) else getattr(code, "__func__", code)
    where = getattr(getattr(code, "__code__", None), "co_filename", "")
    return str(where).startswith(_OWN)


def _foreign(kind: type) -> str:
    """Return the function of a class, or of its file, that somebody has replaced; empty if there is none."""
    for part in kind.__mro__:
        if not part.__module__.startswith("transformers."):
            continue
        places: dict[str, Mapping[str, Any]] = {part.__name__: vars(part)}
        if part.__module__.startswith("transformers.models."):  # other files contain functions of other packages
            places[part.__module__] = vars(sys.modules[part.__module__])
        for place, values in places.items():
            for name, value in values.items():
                found = getattr(value, "__func__", getattr(value, "fget", value))
                if getattr(found, "__module__", None) == "accelerate.hooks" and found.__name__ == name:
                    continue  # what files import to place modules on devices
                if isinstance(found, types.FunctionType) and _is_strange(found):
                    return f"{place}.{name}"
    return ""


def _is_strange(function: Any) -> bool:
    """Whether a function belongs to neither transformers, torch nor Python itself."""
    where = function.__code__.co_filename
    known = (*_OWN, "<", str(Path(functools.__file__).parent))
    installed = "site-packages" in where and not where.startswith(_OWN)
    return installed or not where.startswith(known)


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of a tensor; None for other values."""
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _names(tensors: Mapping[str, Any]) -> str:
    return ", ".join(tensors) or "none"


def _said(value: Any) -> str:
    """Describe a value in a few words."""
    if isinstance(value, Tensor):
        return f"a {type(value).__name__} of {tuple(value.shape)} numbers"
    if isinstance(value, nn.Module) or callable(value):
        return str(getattr(value, "__qualname__", type(value).__name__))
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
