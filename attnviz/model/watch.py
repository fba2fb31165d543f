"""Notice whether a model in memory has changed since it was opened."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from attnviz.checkpoint import raw_bytes
from attnviz.model.lock import MODEL_LOCK

_PLAIN = (int, float, str, bytes, bool, complex, type(None), torch.dtype, torch.device)


class ModelWatch:
    """A snapshot of a model's modules, hooks, attributes, configs and tensors.

    A tensor that was replaced or written to is noticed by its address and version. If the backend holds copies, their
    sources' values are compared too, by checksum, since not every write changes a version.

    Args:
        model: the model in memory.
        copied: the model's tensors that were read when it was opened.
        running: the tensors with which the backend runs; writes to those it shares with the model take effect at once.
    """

    def __init__(self, model: nn.Module, copied: Mapping[str, Tensor], running: Iterable[Tensor]) -> None:
        self._model = model
        shared = {_place(tensor) for tensor in running}
        self._copied = [tensor for tensor in copied.values() if _place(tensor) not in shared]
        with MODEL_LOCK:
            self._was, self._values = self._marks(), self._sums()

    def is_same(self) -> bool:
        """Whether nothing has changed since the snapshot."""
        with MODEL_LOCK:
            now, values = self._marks(), self._sums()
        if len(now) != len(self._was) or values != self._values:
            return False
        pairs = zip(now, self._was, strict=True)
        return all(one is other or (type(one) in _PLAIN and one == other) for one, other in pairs)

    def _marks(self) -> list[Any]:
        """Return objects, which must stay the same, and numbers and texts, which must stay equal."""
        found: list[Any] = []
        known: set[int] = set()
        for name, module in self._model.named_modules(remove_duplicate=False):
            found += [name, module, type(module)]
            for key, value in vars(module).items():
                if key != "training":
                    found.append(key)
                    _mark(value, found, known)
        return found

    def _sums(self) -> list[int]:
        """Return a checksum of each tensor that was copied."""
        return [zlib.crc32(raw_bytes(tensor)) for tensor in self._copied]


def _mark(value: Any, found: list[Any], known: set[int], depth: int = 0) -> None:
    found.append(value)
    if isinstance(value, Tensor):
        version = -1 if value.is_inference() else value._version
        found += [_place(value), version, str((value.dtype, value.device, value.shape, value.stride()))]
    elif isinstance(value, (nn.Module, *_PLAIN)) or depth > 3:
        return
    elif hasattr(value, "to_json_string"):  # a config
        if id(value) not in known:
            known.add(id(value))
            found[-1:] = [value, repr(value.to_dict())]
    elif isinstance(value, dict):
        for key, each in value.items():
            found.append(key)
            _mark(each, found, known, depth + 1)
    elif isinstance(value, list | tuple | set):
        found[-1] = len(value)
        for each in value:
            _mark(each, found, known, depth + 1)


def _place(tensor: Tensor) -> int:
    """Return the address of a tensor's memory."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # a tensor without memory of its own
        return id(tensor)
