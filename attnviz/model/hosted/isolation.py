"""Run a transformers model in one thread at a time, and restore it after each run, whatever fails."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig

from attnviz.model.lock import MODEL_LOCK

NAME = "attnviz"


class Function(Protocol):
    """An attention function for transformers, and the function that makes its masks."""

    @property
    def mask(self) -> Callable[..., Tensor | None]:
        """Make a mask from the arguments of ``transformers.masking_utils.eager_mask``."""

    def __call__(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **facts: Any
    ) -> tuple[Tensor, None]:
        """Attend; return the context (1, N, H, D)."""


@contextlib.contextmanager
def attend_with(model: nn.Module, hook: Function | None, own: str | None = "eager") -> Iterator[None]:
    """Make ``model`` attend with ``hook`` inside the block.

    Without a hook it attends with its ``own`` attention of that name (None: the one of its config). The model is
    ``isolated``; afterwards transformers no longer knows the hook.
    """
    double = next(model.parameters()).dtype is torch.float64
    name = own if hook is None else f"{NAME}-{id(hook)}"
    with isolated(model):
        try:
            if hook is not None:
                AttentionInterface.register(name, hook)
                AttentionMaskInterface.register(name, hook.mask)
            for config in configs(model):
                if name is not None:
                    config._attn_implementation_internal = name
                config.use_cache = False
                if double:  # the faster implementations of experts do not support float64
                    config._experts_implementation_internal = "eager"
            yield
        finally:
            if hook is not None:
                AttentionInterface._global_mapping.pop(name, None)
                AttentionMaskInterface._global_mapping.pop(name, None)


@contextlib.contextmanager
def isolated(model: nn.Module) -> Iterator[None]:
    """Keep ``model`` to this thread and in evaluation mode inside the block, and restore it afterwards.

    Everything is restored, also after an exception: the attention of its configs, its training mode, hooks, buffers and
    whatever else the forward pass leaves in the modules.
    """
    with MODEL_LOCK, contextlib.ExitStack() as stack:
        holders: list[Any] = [*model.modules(), *configs(model)]
        before = [(vars(holder), dict(vars(holder))) for holder in holders]
        before += [
            (value, value.copy()) for _, values in before for value in values.values() if isinstance(value, dict)
        ]
        stack.callback(_put_back, before)
        if any(hasattr(module, "_orig_mod") for module in model.modules()):  # compiled code would ignore the hook
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        for module in model.modules():
            vars(module).pop("_compiled_call_impl", None)
        model.eval()
        yield


def _put_back(before: list[tuple[MutableMapping[Any, Any], dict[Any, Any]]]) -> None:
    """Restore each mapping; unchanged entries are not written, so that other threads may read them meanwhile."""
    with _unbroken():
        for now, values in before:
            for name in [name for name in now if name not in values]:
                del now[name]
            for name, value in values.items():
                if name not in now or now[name] is not value:
                    now[name] = value
            if list(now) != list(values):
                now.clear()
                now.update(values)


@contextlib.contextmanager
def _unbroken() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield
        return
    waiting: list[Any] = []
    signal.signal(signal.SIGINT, lambda *given: waiting.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if waiting and callable(handler):
            handler(*waiting[0])


def configs(model: nn.Module) -> list[Any]:
    """Return all configs of ``model``, its parts, and the configs inside these."""
    waiting = [
        module.config for module in model.modules() if isinstance(getattr(module, "config", None), PreTrainedConfig)
    ]
    found: dict[int, Any] = {}
    while waiting:
        config = waiting.pop()
        if id(config) not in found:
            found[id(config)] = config
            waiting += [part for part in vars(config).values() if isinstance(part, PreTrainedConfig)]
    return list(found.values())
