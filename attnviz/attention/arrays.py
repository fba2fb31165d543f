"""What weights are made of: tensors of torch in a run, arrays of numpy in a record. Definitions are written for both.

Numpy and torch have most functions under one name, see ``functions_of``; here are those that differ. Torch is imported
only for tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.compiled import HIDDEN
from attnviz.attention.texts import Ints

AnyArray = Any
"""A ``torch.Tensor``, or an array of numpy."""
_PARTS = 64
"""The most numbers of a row of which only the largest is looked at in a search for the largest of the row."""


def functions_of(a: AnyArray) -> Any:
    """The module ``numpy`` or ``torch``, whichever ``a`` is of."""
    if isinstance(a, np.ndarray):
        return np
    import torch

    return torch


def like(array: NDArray[Any], a: AnyArray) -> AnyArray:
    """``array`` as a tensor on the device of ``a``, if ``a`` is one; in float32 where the device has no float64."""
    if isinstance(a, np.ndarray):
        return array
    narrow = a.device.type == "mps" and array.dtype == np.float64
    return functions_of(a).from_numpy(array.astype(np.float32) if narrow else array).to(a.device)


def sink_scores(sinks: AnyArray | None, heads: int) -> NDArray[np.float32]:
    """The scores of the ``sinks`` (h,) of ``heads`` as compiled passes read them: the least for none."""
    return np.full(heads, HIDDEN, np.float32) if sinks is None else sinks.float().clamp(min=HIDDEN).numpy()


def as_numbers(a: AnyArray) -> NDArray[Any]:
    """``a`` as an array of numpy."""
    return a if isinstance(a, np.ndarray) else np.asarray(a.cpu().numpy())


def copied(a: AnyArray) -> AnyArray:
    """A copy of ``a``."""
    return a.copy() if isinstance(a, np.ndarray) else a.clone()


def zeros(a: AnyArray, *shape: int) -> AnyArray:
    """Zeros of the type and on the device of ``a``."""
    return np.zeros(shape, a.dtype) if isinstance(a, np.ndarray) else a.new_zeros(shape)


def widened(a: AnyArray) -> AnyArray:
    """``a`` in the type in which many weights are added up: float64, if the device has it."""
    if isinstance(a, np.ndarray):
        return a.astype(np.float64, copy=False)
    return a.float() if a.device.type == "mps" else a.double()


def doubles(a: AnyArray) -> AnyArray:
    """``a`` in float64, on the CPU if its device has no such numbers."""
    return widened(a if isinstance(a, np.ndarray) or a.device.type != "mps" else a.cpu())


def is_double(a: AnyArray) -> bool:
    """Whether the numbers are float64."""
    return str(a.dtype).endswith("float64")


def entropies(a: AnyArray) -> AnyArray:
    """−Σ A ln A of each row of ``a`` (…, m)."""
    if isinstance(a, np.ndarray):
        logarithms = np.log(a, where=a > 0, out=np.zeros_like(a))
        return -np.einsum("...m,...m->...", a, logarithms)
    return functions_of(a).special.entr(a).sum(-1)


def group_sums(a: AnyArray, groups: Ints, count: int, axis: int) -> AnyArray:
    """The sums of ``a`` over the places on an ``axis`` that are of one of ``count`` ``groups``, which ascend."""
    return _grouped(a, groups, count, axis, np.add, "sum")


def group_maxima(a: AnyArray, groups: Ints, count: int, axis: int) -> AnyArray:
    """The largest of ``a`` ≥ 0 in each group, 0 in one that has no places; as ``group_sums``."""
    return _grouped(a, groups, count, axis, np.maximum, "amax")


def _grouped(a: AnyArray, groups: Ints, count: int, axis: int, join: np.ufunc, name: str) -> AnyArray:
    if len(groups) == count and (np.diff(groups) == 1).all():
        return a
    found = zeros(a, *a.shape[:axis], count, *a.shape[axis + 1 :])
    if isinstance(a, np.ndarray):
        firsts = np.flatnonzero(np.diff(groups, prepend=-1))
        np.moveaxis(found, axis, 0)[groups[firsts]] = np.moveaxis(join.reduceat(a, firsts, axis=axis), axis, 0)
        return found
    if name == "sum":
        return found.index_add_(axis, like(groups, a), a)
    places = like(groups, a).view(-1, *(1,) * (a.ndim - axis - 1)).expand_as(a)
    return found.scatter_reduce_(axis, places, a, name)


def least_of_largest(a: AnyArray, n: int) -> AnyArray:
    """Of each row of ``a`` (r, m) the ``n``-th largest, or a number a little below it, which is found faster (r, 1)."""
    if not isinstance(a, np.ndarray):
        return a.topk(n, sorted=True).values[:, -1:]
    # The largest of n of some parts of a row are n numbers of the row.
    length = min(_PARTS, max(1, a.shape[1] // (8 * n)))
    parts = a.shape[1] // length
    largest = a[:, : length * parts].reshape(len(a), length, parts).max(1)
    return np.partition(largest, parts - n, axis=1)[:, parts - n, None]
