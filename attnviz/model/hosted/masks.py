"""Read from transformers' masks which keys a query sees, exactly, and without an N × M array if the mask is a band.

Nearly every mask is a band: all keys, no later keys, or a window. The kernel gets it as a ``KeyWindow``; the model gets
a tensor that is computed only if the model uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from transformers.masking_utils import bidirectional_mask_function, causal_mask_function, eager_mask, sdpa_mask

from attnviz.attention.window import EVERYTHING, KeyWindow

# The number of entries of a mask that are read at once.
_TILE = 1 << 22

# Keep transformers from omitting masks.
_WHOLE = {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}


@dataclass(frozen=True)
class Visibility:
    """Which keys the queries see: a ``window``, or None if it is not a band. ``causal``: no query sees a later key."""

    window: KeyWindow | None
    causal: bool


FULL_VISIBILITY = Visibility(EVERYTHING, causal=False)
CAUSAL_VISIBILITY = Visibility(KeyWindow(right=0), causal=True)


class LazyMask(Tensor):
    """An additive mask (1, 1, N, M) that ``make`` computes only when an operation needs it."""

    make: Callable[[], Tensor]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Compute with the real masks."""
        del types

        def real(value: Any) -> Any:
            return value.make() if isinstance(value, LazyMask) else value

        return func(*tree_map(real, args), **tree_map(real, kwargs or {}))


class BandMask(LazyMask):
    """A lazy mask that is a band."""

    sight: Visibility

    @staticmethod
    def __new__(cls, sight: Visibility, make: Callable[[], Tensor], shape: tuple[int, ...], **kind: Any) -> BandMask:
        """Make a mask of ``shape``; ``kind`` is the dtype and the device."""
        mask: BandMask = Tensor._make_wrapper_subclass(cls, shape, **kind)
        mask.sight, mask.make = sight, make
        return mask


class RowMask(LazyMask):
    """A lazy mask that transformers computes for some rows at a time; ``causal``: it hides later keys and
    nothing else.
    """

    causal: bool
    _facts: dict[str, Any]

    @staticmethod
    def __new__(cls, facts: dict[str, Any]) -> RowMask:
        """Make a mask from the arguments of ``transformers.masking_utils.eager_mask``."""
        shape = (1, 1, facts["q_length"], facts["kv_length"])
        mask: RowMask = Tensor._make_wrapper_subclass(cls, shape, dtype=facts.get("dtype"), device=facts.get("device"))
        mask.causal = _plain(facts) == CAUSAL_VISIBILITY
        mask._facts, mask.make = facts, partial(eager_mask, **(facts | _WHOLE))
        return mask

    def rows(self, chosen: Tensor) -> Tensor:
        """Return which keys the queries ``chosen`` (n,) see, as booleans (1, h, n, M)."""
        breaks = torch.nonzero(chosen.diff() != 1).flatten() + 1
        runs = torch.tensor_split(chosen, breaks.cpu())
        return torch.cat([_rows(self._facts, int(run[0]), int(run[-1]) + 1) for run in runs], dim=2)


def mask(**facts: Any) -> Tensor | None:
    """Make the mask for transformers: as for eager attention, but lazy if it is a band.

    It takes the arguments of ``transformers.masking_utils.eager_mask``.
    """
    queries, keys = facts.get("q_length"), facts.get("kv_length")
    if not isinstance(queries, int) or not isinstance(keys, int) or facts.get("batch_size") != 1:
        return eager_mask(**facts)  # type: ignore[no-any-return]

    def rows(start: int, stop: int) -> Tensor:
        return _rows(facts, start, stop)[0].all(0)

    sight = _plain(facts) or visibility_of_rows(rows, queries, keys)
    if sight.window is None:
        return eager_mask(**facts)  # type: ignore[no-any-return]
    if sight.window == EVERYTHING and facts.get("allow_is_bidirectional_skip"):
        return None
    make = partial(eager_mask, **(facts | _WHOLE))
    return BandMask(sight, make, (1, 1, queries, keys), dtype=facts.get("dtype"), device=facts.get("device"))


def mask_by_rows(**facts: Any) -> Tensor | None:
    """Make the mask for transformers, as ``mask``, but without reading it: transformers computes the rows that are
    needed.
    """
    lengths = facts.get("q_length"), facts.get("kv_length")
    if not all(isinstance(length, int) for length in lengths) or facts.get("batch_size") != 1:
        return eager_mask(**facts)  # type: ignore[no-any-return]
    if _plain(facts) == FULL_VISIBILITY and facts.get("allow_is_bidirectional_skip"):
        return None
    return RowMask(facts)


def _rows(facts: dict[str, Any], start: int, stop: int) -> Tensor:
    """Return which keys the queries from ``start`` to ``stop`` see, as booleans (1, h, n, M)."""
    first = facts.get("q_offset", 0)
    part: Tensor = sdpa_mask(**(facts | _WHOLE | {"q_length": stop - start, "q_offset": first + start}))
    return part


def _plain(facts: dict[str, Any]) -> Visibility | None:
    """Return the visibility of the two commonest masks, which need no reading, if nothing is padded or shifted."""
    padding = facts.get("attention_mask")
    if facts.get("q_offset") or facts.get("kv_offset") or not (padding is None or bool(padding.all())):
        return None
    return {causal_mask_function: CAUSAL_VISIBILITY, bidirectional_mask_function: FULL_VISIBILITY}.get(
        facts.get("mask_function")
    )


def visibility_of_rows(rows: Callable[[int, int], Tensor], queries: int, keys: int) -> Visibility:
    """Return which of ``keys`` the ``queries`` see, where ``rows(start, stop)`` gives some rows as booleans (n, M).

    All visible entries lie in the band that reaches as far as the farthest of them. If the band has as many entries as
    are visible, the mask is that band.
    """
    ahead, behind, seen, blind = -keys, -queries, 0, False
    step = max(1, _TILE // keys)
    for start in range(0, queries, step):
        visible = rows(start, min(start + step, queries))  # (n, M)
        at = torch.arange(start, start + len(visible), device=visible.device)
        ones = visible.contiguous().view(torch.uint8)
        first, last = ones.argmax(-1), keys - 1 - ones.flip(-1).argmax(-1)
        sees = visible.any(-1)
        blind |= not bool(sees.all())
        if bool(sees.any()):
            ahead = max(ahead, int((last - at)[sees].max()))
            behind = max(behind, int((at - first)[sees].max()))
        seen += int(visible.count_nonzero())
    at = torch.arange(queries)
    band = ((at + ahead).clamp(max=keys - 1) - (at - behind).clamp(min=0) + 1).clamp(min=0)
    window = None
    if not blind and int(band.sum()) == seen:
        window = KeyWindow(None if behind >= queries - 1 else behind, None if ahead >= keys - 1 else ahead)
    return Visibility(window, causal=ahead <= 0)


def visibility_of_mask(mask: Tensor) -> Visibility:
    """Return which keys a computed mask (h, N, M) shows; it is not a band if it adds other numbers or differs
    by head.
    """
    if mask.dtype is torch.bool:
        shown, plain = mask, True
    else:
        shown = mask > torch.finfo(mask.dtype).min / 2
        plain = bool((shown.logical_not() | (mask == 0)).all())
    alike = bool((shown == shown[:1]).all())
    union = shown.any(0)
    sight = visibility_of_rows(lambda start, stop: union[start:stop], *union.shape)
    return sight if plain and alike else Visibility(None, sight.causal)
